"""The slow, plain search that fast ones are tested against.

Shapes: B probes, N rows, D embedding size.
"""

from pathlib import Path

import numpy as np

from contract.similarity import pairwise_similarity
from index.records import Embeddings, Numbers
from index.search import Change, Shortlist, Shortlists, SnapshotKey


class ExactIndex:
    """SearchIndex by dictionary and numpy, for one thread; float32 rows, scored in float64."""

    def __init__(self, *, size: int, d_max: float) -> None:
        """size: D. d_max: see contract/similarity.py."""
        self._size = size
        self._d_max = d_max
        self._rows: dict[int, tuple[int, Embeddings]] = {}
        self._revision = 0

    @property
    def revision(self) -> int:
        """See SearchIndex."""
        return self._revision

    def __len__(self) -> int:
        return len(self._rows)

    def apply(self, change: Change) -> None:
        """See SearchIndex."""
        removed, added = change.removed.tolist(), change.added.numbers.tolist()
        if change.added.embeddings.shape != (len(added), self._size):
            raise ValueError(f"Embeddings must have the shape (N, {self._size}).")
        if len(set(removed)) < len(removed) or any(n not in self._rows for n in removed):
            raise ValueError("Only rows that are there can be removed, each once.")
        left = self._rows.keys() - set(removed)
        if len(set(added)) < len(added) or not left.isdisjoint(added):
            raise ValueError("A row's number may be added only once.")
        for number in removed:
            del self._rows[number]
        for number, subject, row in zip(
            added, change.added.subject_numbers.tolist(), change.added.embeddings, strict=True
        ):
            self._rows[number] = (subject, row.copy())
        self._revision = change.revision

    def shortlist(self, probes_BD: Embeddings, *, rows: int) -> Shortlists:
        """See SearchIndex; equally similar rows by number."""
        numbers = np.array(list(self._rows), dtype=np.int64)
        subject_numbers = self.subjects(numbers)
        similarities_BN = pairwise_similarity(probes_BD, self.embeddings(numbers), self._d_max)
        lists = []
        for similarities_N in similarities_BN:
            order_N = np.lexsort((numbers, -similarities_N))
            listed = order_N[:rows]
            lists.append(
                Shortlist(
                    numbers=numbers[listed],
                    subject_numbers=subject_numbers[listed],
                    similarities=similarities_N[listed],
                    left_out=float(similarities_N[order_N[rows]]) if rows < len(self) else -1.0,
                )
            )
        return Shortlists(lists=tuple(lists), revision=self._revision, error=0.0)

    def __contains__(self, number: int) -> bool:
        """See SearchIndex."""
        return number in self._rows

    def subjects(self, numbers: Numbers) -> Numbers:
        """See SearchIndex."""
        return np.array([self._rows[n][0] for n in numbers.tolist()], dtype=np.int64)

    def embeddings(self, numbers: Numbers) -> Embeddings:
        """See SearchIndex."""
        rows = [self._rows[n][1] for n in numbers.tolist()]
        return np.array(rows, dtype=np.float32).reshape(-1, self._size)

    def settle(self) -> None:
        """See SearchIndex: nothing runs in the background."""

    def save(self, path: Path, key: SnapshotKey) -> None:
        """Writes nothing: it is filled from the store each time."""

    def close(self) -> None:
        """See SearchIndex."""
