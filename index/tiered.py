"""SearchIndex over half-precision rows: a scan that is exact, and a generation that may stand in.

Shapes: B probes, N rows, K rows listed, D embedding size.
"""

import math
from pathlib import Path
from typing import Final

import numpy as np

from contract.similarity import Float, similarity_from_distance, similarity_from_squares
from index.generation import Generation
from index.generations import Generations, Policy
from index.readers_writer import ReadersWriterLock
from index.records import Embeddings, Numbers
from index.rows import Rows, to_half
from index.search import Change, Shortlist, Shortlists, SnapshotKey
from index.snapshot_file import write_snapshot

_TINY: Final = float(np.finfo(np.float32).tiny)
# A generation is asked for at most this share of the rows: for longer lists the scan is as fast.
_LONGEST_SHARE: Final = 1 / 16


class TieredIndex:
    """SearchIndex; made by `make_index` or `load_snapshot`.

    The scan says which rows it left out, and its similarities are FAISS's: whoever needs exact
    ones has the truth. What a generation finds is scored in float64 from the rows, and nothing
    is claimed about the rest.
    """

    def __init__(
        self,
        rows: Rows,
        *,
        d_max: float,
        policy: Policy | None,
        revision: int = 0,
        generation: Generation | None = None,
    ) -> None:
        """Take over rows of some revision, and a generation of them if there is one.

        d_max: see contract/similarity.py. policy: None, always scan.
        """
        self._rows = rows
        self._d_max = d_max
        self._revision = revision
        self._lock = ReadersWriterLock()
        self._error = self._bound()
        self._generations = Generations(rows, self._lock, policy)
        with self._lock.exclusive():
            self._generations.adopt(generation)

    @property
    def revision(self) -> int:
        """See SearchIndex."""
        return self._revision

    @property
    def is_approximate(self) -> bool:
        """Whether searches go through a generation now."""
        return self._generations.live is not None

    def __len__(self) -> int:
        return len(self._rows)

    def apply(self, change: Change) -> None:
        """See SearchIndex. ValueError also for values that are beyond half precision."""
        added = change.added
        if added.embeddings.shape != (len(added), self._rows.size):
            raise ValueError(f"Embeddings must have the shape (N, {self._rows.size}).")
        half = to_half(added.embeddings)
        removed = change.removed.tolist()
        with self._lock.exclusive():
            self._rows.check(removed, added.numbers.tolist())
            self._rows.reserve(len(self._rows) - len(removed) + len(added))
            moves = self._rows.remove(removed)
            self._rows.add(added.numbers, added.subject_numbers, half)
            self._revision = change.revision
            self._error = self._bound()
            self._generations.follow(moves, len(added))

    def shortlist(self, probes_BD: Embeddings, *, rows: int) -> Shortlists:
        """See SearchIndex. ValueError: rows < 1, or wrong D."""
        probes = np.ascontiguousarray(probes_BD, dtype=np.float32)
        if rows < 1 or probes.ndim != 2 or probes.shape[1] != self._rows.size:
            raise ValueError(f"Search needs rows >= 1 and probes (B, {self._rows.size}).")
        with self._lock.shared():
            live = self._generations.live
            if live and live.finder.count(rows) <= _LONGEST_SHARE * len(self._rows):
                lists = self._approximate(live, probes, rows)
            else:
                lists = self._scan(probes, rows)
            return Shortlists(lists=lists, revision=self._revision, error=self._error)

    def __contains__(self, number: int) -> bool:
        """See SearchIndex."""
        with self._lock.shared():
            return number in self._rows

    def subjects(self, numbers: Numbers) -> Numbers:
        """See SearchIndex."""
        with self._lock.shared():
            return self._rows.subject_numbers[self._rows.slots(numbers)]

    def embeddings(self, numbers: Numbers) -> Embeddings:
        """See SearchIndex."""
        with self._lock.shared():
            return self._rows.codes[self._rows.slots(numbers)].astype(np.float32)

    def held_bytes(self) -> int:
        """Bytes of the rows, see Rows.held_bytes; without those of a generation."""
        return self._rows.held_bytes()

    def settle(self) -> None:
        """See SearchIndex."""
        self._generations.settle()

    def save(self, path: Path, key: SnapshotKey) -> None:
        """See SearchIndex. Searches go on meanwhile, changes wait."""
        with self._lock.shared():
            write_snapshot(
                path, key, revision=self._revision, rows=self._rows, live=self._generations.live
            )

    def close(self) -> None:
        """See SearchIndex; it can be searched all the same."""
        self._generations.close()

    def _bound(self) -> float:
        """How far a listed similarity may be off, and that of any row as FAISS sees it.

        By the rows' rounding; by FAISS's sums in float32, whose roots are off by a factor within
        1 ± (D + 8) 2^-24 and by sqrt(D tiny) where squares underflow; by float64's own.
        """
        size, rounding = self._rows.size, self._rows.rounding
        sums = (size + 8) * (2.0**-24 + 2.0**-51)
        return min(1.0, sums + (rounding + math.sqrt(size * _TINY)) / self._d_max)

    def _scan(self, probes_BD: Embeddings, rows: int) -> tuple[Shortlist, ...]:
        count = min(rows, len(self._rows))
        if not count:
            nobody = np.zeros(0, dtype=np.int64)
            return tuple(self._listed(nobody, np.zeros(0), None) for _ in probes_BD)
        squared_BK, slots_BK = self._rows.nearest(probes_BD, count)
        # No row that FAISS left out looked nearer to it than the last that it listed.
        margin = self._error if count < len(self._rows) else None
        lists: list[Shortlist] = []
        for probe_D, squared_K, slots_K in zip(probes_BD, squared_BK, slots_BK, strict=True):
            if slots_K[-1] < 0:  # The squares overflowed: list all rows.
                every = np.arange(len(self._rows))
                lists.append(self._scored(probe_D, every, len(every)))
            else:
                similarities_K = similarity_from_squares(squared_K.tolist(), self._d_max)
                lists.append(self._listed(slots_K, similarities_K, margin))
        return tuple(lists)

    def _approximate(
        self, live: Generation, probes_BD: Embeddings, rows: int
    ) -> tuple[Shortlist, ...]:
        # As many of the positions are expected to be dead among the found as among all.
        alive = len(self._rows) / len(live.positions)
        slots_BK = live.nearest(probes_BD, math.ceil(live.finder.count(rows) / alive))
        lists: list[Shortlist] = []
        for i, slots_K in enumerate(slots_BK):
            found = slots_K[slots_K >= 0]
            if len(found) < rows:
                # The dead crowd this place, or the graph has no way on.
                lists += self._scan(probes_BD[i : i + 1], rows)
            else:
                lists.append(self._scored(probes_BD[i], found, rows))
        return tuple(lists)

    def _scored(self, probe_D: Embeddings, slots_K: Numbers, rows: int) -> Shortlist:
        """The best `rows` of some rows, by their distances in float64."""
        distances_K = self._rows.distances(probe_D, slots_K)
        order_K = np.argsort(distances_K)[:rows]
        similarities_K = similarity_from_distance(distances_K[order_K], self._d_max)
        return self._listed(slots_K[order_K], similarities_K, None)

    def _listed(self, slots_K: Numbers, similarities_K: Float, margin: float | None) -> Shortlist:
        """margin: how much more similar a row left out may be than the last; None: no claim."""
        return Shortlist(
            numbers=self._rows.numbers[slots_K],
            subject_numbers=self._rows.subject_numbers[slots_K],
            similarities=similarities_K,
            left_out=-1.0 if margin is None else min(1.0, float(similarities_K[-1]) + margin),
        )
