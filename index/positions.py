"""Which row lies where in a generation, while rows move between slots and generations do not.

A *position* is a row's place in a generation: the order of addition, never given out again. See
index/rows.py for slots.
"""

from collections.abc import Sequence
from typing import Final, Self

import numpy as np

from index.records import Numbers
from index.rows import Move

_NOBODY: Final = -1


class Positions:
    """Two tables, from position to slot and back. A position whose row was removed is dead."""

    def __init__(self, slots: Numbers) -> None:
        """slots: by position, int64; -1 where it is dead; each slot from 0 to N - 1 once.

        ValueError: not such a table.
        """
        alive = np.flatnonzero(slots != _NOBODY)
        self._slots = slots.copy()
        self._positions = np.full(len(alive), _NOBODY, dtype=np.int64)
        named = slots[alive]
        if len(alive) and not 0 <= named.min() <= named.max() < len(alive):
            raise ValueError("A table of positions must name every slot.")
        self._positions[named] = alive
        if (self._positions == _NOBODY).any():
            raise ValueError("A table of positions must name every slot.")
        self._total = len(slots)
        self._alive = len(alive)

    @classmethod
    def first(cls, count: int) -> Self:
        """Of a generation that holds `count` rows in the order of their slots."""
        return cls(np.arange(count))

    def __len__(self) -> int:
        """Positions given out, dead ones included."""
        return self._total

    @property
    def dead(self) -> int:
        """How many positions are dead."""
        return self._total - self._alive

    @property
    def slots(self) -> Numbers:
        """By position, int64, -1 where it is dead; a view."""
        return self._slots[: self._total]

    def remove(self, moves: Sequence[Move]) -> list[int]:
        """Follow what `Rows.remove` did; the positions that died."""
        died = []
        for slot, last in moves:
            position = int(self._positions[slot])
            self._slots[position] = _NOBODY
            if slot != last:
                moved = self._positions[last]
                self._positions[slot] = moved
                self._slots[moved] = slot
            self._alive -= 1
            died.append(position)
        return died

    def add(self, count: int) -> None:
        """Follow `Rows.add` of that many rows."""
        total, alive = self._total + count, self._alive + count
        self._slots = _grown(self._slots, total)
        self._positions = _grown(self._positions, alive)
        self._slots[self._total : total] = np.arange(self._alive, alive)
        self._positions[self._alive : alive] = np.arange(self._total, total)
        self._total, self._alive = total, alive


def _grown(table: Numbers, count: int) -> Numbers:
    if count <= len(table):
        return table
    larger = np.empty(max(count, len(table) + len(table) // 8 + 64), dtype=np.int64)
    larger[: len(table)] = table
    return larger
