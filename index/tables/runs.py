"""Rows by many numbers: some in each statement, so that a database over a network is asked once."""

from collections.abc import Collection, Iterator
from typing import Any, Final

from index.database import Connection

# Each length is a statement of its own to be prepared.
_LONGEST: Final = 32


def rows_by_numbers(
    c: Connection, select: str, column: str, numbers: Collection[int]
) -> Iterator[tuple[Any, ...]]:
    """The rows of `select` whose `column` is one of some numbers, in any order."""
    ordered = list(numbers)
    for first in range(0, len(ordered), _LONGEST):
        run = ordered[first : first + _LONGEST]
        yield from c.execute(f"{select} WHERE {column} IN ({', '.join('?' * len(run))})", run)
