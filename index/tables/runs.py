"""Rows by many keys: some in each statement, so that a database over a network is asked once."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from index.database import Connection, Value

# PostgreSQL, which knows no statistics of a table that was filled just now, reads all of it for
# many more.
_LONGEST: Final = 32


def rows_by_keys(
    c: Connection, sql: str, keys: Iterable[Value], *, first: tuple[Value, ...] = ()
) -> Iterator[tuple[Any, ...]]:
    """The rows of a SELECT for each of some keys, in any order.

    sql: with `{}` inside the parentheses of its last IN. first: the values before them.
    """
    waiting = iter(dict.fromkeys(keys))
    while run := list(islice(waiting, _LONGEST)):
        # Lengths are powers of two, the rest a key that is there already: few statements are ever
        # prepared.
        run += run[-1:] * ((1 << (len(run) - 1).bit_length()) - len(run))
        yield from c.execute(sql.format(", ".join("?" * len(run))), (*first, *run))
