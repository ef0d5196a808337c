"""A transaction of PostgreSQL, spoken to in the statements that SQLite understands, too.

An embedding travels as pgvector's binary form, so that each bit of it arrives: two bytes for D,
two that are zero, then D numbers, float32, all big-endian.
"""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.types.numeric import Int8BinaryDumper

from index.database import Value
from index.postgres_errors import damaged, server_errors
from index.postgres_pool import RawConnection
from index.records import Embeddings

_STREAM_ROWS: Final = 4_096
_NUMBER: Final = np.dtype(">f4")
_HEAD: Final = np.dtype([("size", ">u2"), ("unused", ">u2")])


@dataclass(frozen=True, slots=True)
class PackedVector:
    """An embedding in pgvector's binary form."""

    data: bytes


class _VectorDumper(Dumper):
    """Leaves it to the server to see, by the column or a cast, that this is a vector."""

    format = Format.BINARY

    def dump(self, obj: PackedVector) -> bytes:
        return obj.data


def adapt(raw: RawConnection) -> None:
    """Let a connection take our values.

    Every integer goes as bigint, so that a statement is planned once and not once a magnitude;
    and so do booleans, which are numbers to the shared statements as they are to SQLite.
    """
    raw.adapters.register_dumper(PackedVector, _VectorDumper)
    raw.adapters.register_dumper(int, Int8BinaryDumper)
    raw.adapters.register_dumper(bool, Int8BinaryDumper)


class PostgresConnection:
    """Connection over one of psycopg's that is in a transaction."""

    def __init__(self, raw: RawConnection, place: str) -> None:
        self.raw = raw
        self.place = place
        self._counter = itertools.count(1)

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        """See Connection."""
        with server_errors(self.place):
            cursor = self.raw.execute(_translated(sql), values, binary=True)
            return cursor.fetchall() if cursor.description else []

    def stream(self, sql: str, values: Sequence[Value] = ()) -> Iterator[list[tuple[Any, ...]]]:
        """See Connection."""
        # A cursor on the server: the client's own would first fetch everything.
        with self.raw.cursor(f"stream_{next(self._counter)}") as cursor:
            with server_errors(self.place):
                cursor.execute(_translated(sql), values, binary=True)
            while True:
                with server_errors(self.place):
                    rows = cursor.fetchmany(_STREAM_ROWS)
                if not rows:
                    return
                yield rows

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """See Connection."""
        name = f"part_{next(self._counter)}"
        self.execute(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            # Over a broken connection nothing can be said, and nothing has to be.
            if not self.raw.closed:
                self.execute(f"ROLLBACK TO SAVEPOINT {name}")
                self.execute(f"RELEASE SAVEPOINT {name}")
            raise
        self.execute(f"RELEASE SAVEPOINT {name}")

    def pack_crop(self, image: bytes) -> Value:
        """See Connection."""
        return image

    def unpack_crop(self, value: Value) -> bytes:
        """See Connection."""
        return bytes(value)

    def crop_bytes(self, stored_bytes: int, head: bytes) -> int:
        """See Connection."""
        return stored_bytes

    def pack(self, embedding_D: Embeddings) -> Value:
        """See Connection."""
        head = np.array((len(embedding_D), 0), dtype=_HEAD)
        return PackedVector(head.tobytes() + embedding_D.astype(_NUMBER).tobytes())

    def unpack(self, values: Sequence[Value], *, size: int) -> Embeddings:
        """See Connection."""
        length = _HEAD.itemsize + size * _NUMBER.itemsize
        if any(len(value) != length for value in values):
            raise damaged(
                self.place, "a template has not the length that the collection's contract says"
            )
        whole = np.frombuffer(b"".join(values), dtype=np.uint8).reshape(-1, length)
        numbers = np.ascontiguousarray(whole[:, _HEAD.itemsize :]).view(_NUMBER)
        embeddings = numbers.astype(np.float32)
        if not np.isfinite(embeddings).all():
            raise damaged(self.place, "a template holds a number that is not finite")
        return embeddings


@lru_cache(maxsize=1_024)
def _translated(sql: str) -> bytes:
    """A statement of ours as psycopg takes it. No string in any of them holds a `?`."""
    return sql.replace("%", "%%").replace("?", "%s").encode()
