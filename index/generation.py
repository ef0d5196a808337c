"""What an approximate search goes through: a finder over all rows of some moment, kept up to date.

Shapes: B probes, N rows, P positions, K of them found, D embedding size.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np

from index.positions import Positions
from index.records import Embeddings, Numbers
from index.rows import Move, Rows

# Rows that are added at once while a generation is built; to stop it takes as long.
CHUNK: Final = 1024
_SAMPLE: Final = 16_384


class Finder(Protocol):
    """An index of FAISS's that says which of its positions are likely to be nearest.

    Searches may run side by side; nothing else may run beside `add` and `erase`.
    """

    kind: str  # Its name in a snapshot.
    bulk: int  # More rows than this are not added while searches wait.

    @property
    def index(self) -> Any:
        """FAISS's index, for a snapshot."""

    def train(self, sample_ND: Embeddings) -> None:
        """Learn what it needs before the first `add`."""

    def add(self, embeddings_ND: Embeddings) -> None:
        """Append rows at the next positions."""

    def erase(self, positions: Sequence[int]) -> int:
        """Forget the embeddings of dead positions; of how many it cannot."""

    def count(self, rows: int) -> int:
        """How many positions to ask for, that the nearest `rows` rows are among them."""

    def search(self, probes_BD: Embeddings, count: int) -> Numbers:
        """Positions int64 (B, K = count), likely nearest first; -1 where it finds no more."""


class Generation:
    """A finder, and which row lies at which of its positions.

    It is built row by row in the order of positions while the rows change, then takes searches
    and is extended at each change. It cannot drop a position: dead ones are left out of what is
    found, and when they are many, another generation takes over.
    """

    def __init__(self, finder: Finder, positions: Positions, *, built: int = 0) -> None:
        """built: how many positions the finder has."""
        self.finder = finder
        self.positions = positions
        self.built = built
        self.lingering = 0  # Dead positions of which the finder cannot forget the embedding.
        self._died: list[int] = []

    def follow(self, moves: Sequence[Move], added: int) -> None:
        """Note a change of the rows; the finder does not have what was added yet."""
        self._died += self.positions.remove(moves)
        self.positions.add(added)

    def extend(self, rows: Rows) -> None:
        """Bring the finder up to date."""
        while self.built < len(self.positions):
            self.take(self.chunk(rows))
        self.erase(self.died())

    def chunk(self, rows: Rows) -> Embeddings:
        """The next rows that the finder does not have, float32, at most CHUNK."""
        slots = self.positions.slots[self.built : self.built + CHUNK]
        alive = slots[slots >= 0]
        # Of a dead one the finder gets another row, and never shows it.
        instead = alive[0] if len(alive) else -1
        if instead < 0:
            return np.zeros((len(slots), rows.size), dtype=np.float32)
        return rows.codes[np.where(slots >= 0, slots, instead)].astype(np.float32)

    def take(self, embeddings_ND: Embeddings) -> None:
        """Give the finder what `chunk` returned."""
        self.finder.add(embeddings_ND)
        self.built += len(embeddings_ND)

    def died(self) -> list[int]:
        """Positions of the finder that died since the last call."""
        there = [position for position in self._died if position < self.built]
        self._died = [position for position in self._died if position >= self.built]
        return there

    def erase(self, positions: Sequence[int]) -> None:
        """Have the finder forget them."""
        self.lingering += self.finder.erase(positions)

    def nearest(self, probes_BD: Embeddings, count: int) -> Numbers:
        """Slots int64 (B, count) of what the finder finds; -1 for the dead and the missing."""
        positions_BK = self.finder.search(probes_BD, count)
        slots_BK: Numbers = np.where(positions_BK >= 0, self.positions.slots[positions_BK], -1)
        return slots_BK

    def sample(self, rows: Rows) -> Embeddings:
        """Some rows, float32, for the finder to learn from; there must be one."""
        seen = np.random.default_rng(0).integers(0, len(rows), min(len(rows), _SAMPLE))
        return rows.codes[seen].astype(np.float32)
