"""The seam between a gallery in memory and whatever finds its nearest templates.

Shapes: B probes, N rows, K of them on a shortlist, D embedding size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from contract.similarity import Float
from index.records import Embeddings, Numbers, TemplateBatch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Change:
    """What one or more committed writes do to the rows.

    Removals come first, so a number that is in both has its row replaced.
    """

    removed: Numbers
    added: TemplateBatch
    revision: int


def joined(changes: Sequence[Change]) -> Change:
    """One change that does what these, at least one, do one after the other."""
    if len(changes) == 1:
        return changes[0]
    removed: dict[int, None] = {}
    added: dict[int, tuple[int, Embeddings]] = {}
    for change in changes:
        for number in change.removed.tolist():
            if added.pop(number, None) is None:
                removed[number] = None
        batch = change.added
        rows = zip(batch.subject_numbers.tolist(), batch.embeddings, strict=True)
        added.update(zip(batch.numbers.tolist(), rows, strict=True))
    size = changes[0].added.embeddings.shape[1]
    return Change(
        removed=np.array(list(removed), dtype=np.int64),
        added=TemplateBatch(
            numbers=np.array(list(added), dtype=np.int64),
            subject_numbers=np.array([subject for subject, _ in added.values()], dtype=np.int64),
            embeddings=np.array([row for _, row in added.values()], dtype=np.float32).reshape(
                -1, size
            ),
        ),
        revision=changes[-1].revision,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shortlist:
    """The rows nearest to one probe, best first.

    numbers, subject_numbers: int64 (K,). similarities: float64 (K,), each off by at most the
    index's `error`.
    left_out: no row that is not listed has a higher similarity than this, `error` included;
    -1 where every row is listed, and in an index that may miss rows by choice.
    """

    numbers: Numbers
    subject_numbers: Numbers
    similarities: Float
    left_out: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortlists:
    """One shortlist a probe, all of one revision; `error` bounds their similarities."""

    lists: tuple[Shortlist, ...]
    revision: int
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotKey:
    """What a snapshot belongs to; under any other key it is not loaded.

    scoring: what a row stands for, as the gallery names it: a template, or a subject's mean.
    protection: the label of how the rows are turned.
    """

    contract_id: str
    collection_id: str
    scoring: str
    size: int
    d_max: float
    protection: str = ""


class SearchIndex(Protocol):
    """Rows in memory, derived from the store and never the truth. Any thread may call anything.

    A row is a template, or a subject's mean, under a number that no other row has. Searches run
    side by side and see each change whole or not at all.
    """

    @property
    def revision(self) -> int:
        """Revision of the last change."""

    def __len__(self) -> int:
        """Number of rows, N."""

    def apply(self, change: Change) -> None:
        """Show a change to searches: all of it or, if it raises, nothing.

        ValueError: wrong D, a number that is there already or given twice, or one to remove that
        is not there.
        """

    def shortlist(self, probes_BD: Embeddings, *, rows: int) -> Shortlists:
        """At least the min(rows, N) rows nearest to each probe, float32 (B, D)."""

    def __contains__(self, number: int) -> bool:
        """Whether there is a row of that number."""

    def subjects(self, numbers: Numbers) -> Numbers:
        """Subject numbers of these rows, int64 (len,). KeyError: not there."""

    def embeddings(self, numbers: Numbers) -> Embeddings:
        """The rows of these numbers as they are held, float32 (len, D). KeyError: not there."""

    def settle(self) -> None:
        """Wait until no work in the background is under way: for tests and measurements."""

    def save(self, path: Path, key: SnapshotKey) -> None:
        """Write a snapshot that `load_snapshot` of index/snapshot.py takes; OSError if it fails."""

    def close(self) -> None:
        """End work in the background; a second call does nothing."""
