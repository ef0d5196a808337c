"""A gallery as plain dictionaries: what it must hold and find, without any code of index/.

Shapes: M templates of a subject, D embedding size.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contract.embedding_contract import EmbeddingContract
from contract.similarity import pairwise_similarity

Embeddings = npt.NDArray[np.float32]

CONTRACTS: Final = {
    name: EmbeddingContract(id=f"test:{name}", size=size, d_max=8.0)
    for name, size in (("a", 3), ("b", 2), ("c", 3))
}
PAST, FUTURE = "2020-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"
VALUES: Final = np.array([-1.0, 0.0, 0.5, 2.0], dtype=np.float32)


def embeddings_of(seed_: int, count: int, size: int) -> Embeddings:
    """Of few values, so that equal embeddings and equal distances are common."""
    rng = np.random.default_rng(seed_)
    return VALUES[rng.integers(0, len(VALUES), (count, size))]


@dataclass
class Known:
    """What the dictionary knows of a subject. order: of enrolment."""

    order: int
    name: str | None
    external_id: str | None
    metadata: dict[str, Any]
    expires_at: str | None
    consent_ref: str | None


@dataclass
class Row:
    """A template under one contract. order: of storing, over all contracts."""

    order: int
    subject_id: str
    embedding: Embeddings


@dataclass
class Model:
    """The dictionaries. rows: by contract, then by template id."""

    subjects: dict[str, Known] = field(default_factory=dict)
    rows: dict[str, dict[str, Row]] = field(default_factory=lambda: {n: {} for n in CONTRACTS})
    crops: dict[str, bytes] = field(default_factory=dict)
    searched: str = "a"
    next: str | None = None
    former: str | None = None
    revision: int = 0
    stored: int = 0

    def order(self) -> int:
        self.stored += 1
        return self.stored

    def of(self, subject_id: str, contract: str | None = None) -> list[tuple[str, Row]]:
        """A subject's templates, oldest first."""
        held = self.rows[contract or self.searched].items()
        return sorted(
            ((i, row) for i, row in held if row.subject_id == subject_id),
            key=lambda item: item[1].order,
        )

    def remove(self, subject_id: str) -> None:
        del self.subjects[subject_id]
        for rows in self.rows.values():
            for template_id in [i for i, row in rows.items() if row.subject_id == subject_id]:
                del rows[template_id]
                self.crops.pop(template_id, None)

    def drop(self, contract: str) -> None:
        self.rows[contract].clear()
        left = {template_id for rows in self.rows.values() for template_id in rows}
        self.crops = {i: crop for i, crop in self.crops.items() if i in left}

    def without(self) -> list[str]:
        """Subjects that a switch to the next contract would leave without a template."""
        assert self.next
        return [s for s in self.subjects if self.of(s) and not self.of(s, self.next)]


def similarities(probe: Embeddings, rows: Embeddings) -> Any:
    """Of one probe to some rows; every contract has the same d_max."""
    return pairwise_similarity(probe[None], rows, CONTRACTS["a"].d_max)[0]


def mean_of(rows: Embeddings) -> Embeddings:
    """The mean at the rows' mean length, number by number."""
    count = len(rows)
    mean = [math.fsum(column) / count for column in rows.T.tolist()]
    length = math.sqrt(math.fsum(x * x for x in mean))
    if length:
        lengths = [math.sqrt(math.fsum(x * x for x in row)) for row in rows.tolist()]
        factor = math.fsum(lengths) / count / length
        mean = [x * factor for x in mean]
    return np.array(mean, dtype=np.float32)
