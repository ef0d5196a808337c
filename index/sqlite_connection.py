"""A transaction of SQLite; what is biometric in its rows goes through a cipher, both ways."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw
import numpy as np

from index.database import Value
from index.protection.row_cipher import RowCipher
from index.records import Embeddings
from index.sqlite_errors import damaged, storage_errors

_STREAM_ROWS: Final = 4_096
_BYTES: Final = np.dtype("<f4")


class SqliteConnection:
    """Connection over one of apsw's."""

    def __init__(self, raw: apsw.Connection, path: Path, cipher: RowCipher) -> None:
        self.raw = raw
        self._path = path
        self._cipher = cipher

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        """See Connection."""
        with storage_errors(self._path):
            return self.raw.execute(sql, values).fetchall()

    def stream(self, sql: str, values: Sequence[Value] = ()) -> Iterator[list[tuple[Any, ...]]]:
        """See Connection."""
        with storage_errors(self._path):
            cursor = self.raw.execute(sql, values)
        while True:
            with storage_errors(self._path):
                rows = list(itertools.islice(cursor, _STREAM_ROWS))
            if not rows:
                return
            yield rows

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """See Connection."""
        self.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            # After some errors, a full disk among them, SQLite has rolled all back by itself.
            if self.raw.in_transaction:
                self.execute("ROLLBACK TO part")
                self.execute("RELEASE part")
            raise
        self.execute("RELEASE part")

    def pack_crop(self, image: bytes) -> Value:
        """See Connection."""
        return self._cipher.seal(image, "crop")

    def unpack_crop(self, value: Value) -> bytes:
        """See Connection."""
        return self._cipher.open(value, "crop")

    def crop_bytes(self, stored_bytes: int, head: bytes) -> int:
        """See Connection."""
        return self._cipher.plain_bytes(stored_bytes, head)

    def pack(self, embedding_D: Embeddings) -> Value:
        """See Connection."""
        return self._cipher.seal(embedding_D.astype(_BYTES).tobytes(), "embedding")

    def unpack(self, values: Sequence[Value], *, size: int) -> Embeddings:
        """See Connection."""
        length = size * _BYTES.itemsize
        # No sealed row has the length of a plain one.
        values = [v if len(v) == length else self._cipher.open(v, "embedding") for v in values]
        if any(len(value) != length for value in values):
            raise damaged(
                self._path, "a template has not the length that the collection's contract says"
            )
        embeddings = np.frombuffer(b"".join(values), dtype=_BYTES).astype(np.float32)
        if not np.isfinite(embeddings).all():
            raise damaged(self._path, "a template holds a number that is not finite")
        return embeddings.reshape(-1, size)
