"""What a subject's score is: the similarity of its best template, or of the mean of all.

A *row* is what a probe is compared with: in the first case a template, in the second a subject's
mean, under the number of the template or of the subject.
Shapes: M templates of a subject, D embedding size.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from index.database import Connection
from index.records import Embeddings, StoredTemplate, TemplateBatch
from index.search import Change
from index.tables import templates
from index.tables.templates import UnderContract
from index.writes.effect import Effect

ScoringName = Literal["best", "mean"]
_BATCH_ROWS = 4_096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """A row, exact. embedding: float32 (D,). templates: those behind it, oldest first."""

    number: int
    subject_number: int
    embedding: Embeddings
    templates: tuple[StoredTemplate, ...]


class Scoring(Protocol):
    """Which rows a collection has; read from the truth, inside a transaction."""

    name: ScoringName

    def all_rows(self, c: Connection, of: UnderContract) -> Iterator[TemplateBatch]:
        """Every row, some thousands at a time."""

    def rows(self, c: Connection, of: UnderContract, numbers: Collection[int]) -> dict[int, Row]:
        """The rows of these numbers; those that are gone are left out."""

    def change(self, c: Connection, of: UnderContract, effect: Effect) -> Change:
        """What a write does to the rows; called inside the write's transaction, at its end.

        A removal names every row that may be there: see `Change` of an index that has it not.
        """


class BestTemplate:
    """A subject scores as its most similar template."""

    name: ScoringName = "best"

    def all_rows(self, c: Connection, of: UnderContract) -> Iterator[TemplateBatch]:
        """See Scoring."""
        return templates.all_templates(c, of)

    def rows(self, c: Connection, of: UnderContract, numbers: Collection[int]) -> dict[int, Row]:
        """See Scoring."""
        found = templates.get_templates(c, numbers, of.size)
        return {
            number: Row(
                number=number,
                subject_number=template.subject_number,
                embedding=template.embedding,
                templates=(template,),
            )
            for number, template in found.items()
        }

    def change(self, c: Connection, of: UnderContract, effect: Effect) -> Change:
        """See Scoring."""
        return Change(
            removed=np.array(effect.removed, dtype=np.int64),
            added=TemplateBatch.of(effect.added, of.size),
            revision=effect.revision,
        )


class MeanTemplate:
    """A subject scores as the mean of its templates, at their mean length (`mean_embedding`)."""

    name: ScoringName = "mean"

    def all_rows(self, c: Connection, of: UnderContract) -> Iterator[TemplateBatch]:
        """See Scoring."""
        subjects = templates.subjects_with_templates(c, of)
        for i in range(0, len(subjects), _BATCH_ROWS):
            yield self._means(c, of, subjects[i : i + _BATCH_ROWS])

    def rows(self, c: Connection, of: UnderContract, numbers: Collection[int]) -> dict[int, Row]:
        """See Scoring."""
        found = {}
        for number in numbers:
            held = templates.templates_of(c, of, number)
            if held:
                found[number] = Row(
                    number=number,
                    subject_number=number,
                    embedding=mean_embedding(np.stack([t.embedding for t in held])),
                    templates=tuple(held),
                )
        return found

    def change(self, c: Connection, of: UnderContract, effect: Effect) -> Change:
        """See Scoring."""
        touched = sorted(effect.subjects)
        return Change(
            removed=np.array(touched, dtype=np.int64),
            added=self._means(c, of, touched),
            revision=effect.revision,
        )

    def _means(self, c: Connection, of: UnderContract, subjects: list[int]) -> TemplateBatch:
        rows = self.rows(c, of, subjects)
        numbers = np.array(list(rows), dtype=np.int64)
        means = np.array([row.embedding for row in rows.values()], dtype=np.float32)
        return TemplateBatch(
            numbers=numbers, subject_numbers=numbers, embeddings=means.reshape(-1, of.size)
        )


def compared_rows(templates_MD: Embeddings, scoring: ScoringName) -> Embeddings:
    """What a probe is compared with of a subject's M templates: each of them, or their mean."""
    return templates_MD if scoring == "best" else mean_embedding(templates_MD)[None]


def mean_embedding(embeddings_MD: Embeddings) -> Embeddings:
    """The mean of a subject's M >= 1 templates, float32 (D,), as long as they are on average.

    On a sphere the plain mean lies inside, nearer to everybody; at the templates' own length it
    is again an embedding of the space. A mean of zero has no direction and stays zero.
    """
    rows = embeddings_MD.astype(np.float64)
    mean = rows.mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length > 0:
        mean *= float(np.linalg.norm(rows, axis=1).mean()) / length
    return np.asarray(mean, dtype=np.float32)


SCORINGS: dict[ScoringName, Scoring] = {"best": BestTemplate(), "mean": MeanTemplate()}
