"""The seam between the gallery and where its truth lies: SQLite in a file, or PostgreSQL.

Both speak the same few statements (index/statements), so the gallery's meaning is written once.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

from index.records import Embeddings

# Embeddings go through pack() and unpack(), pictures through pack_crop() and unpack_crop().
Value: TypeAlias = Any


class Connection(Protocol):
    """A transaction under way. One thread at a time."""

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        """Run one statement with `?` for each value; all rows that it gives."""

    def stream(self, sql: str, values: Sequence[Value] = ()) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a large SELECT, some thousands at a time."""

    def savepoint(self) -> AbstractContextManager[None]:
        """A part of the transaction that is undone alone if it raises."""

    def pack_crop(self, image: bytes) -> Value:
        """A picture as a value of the column `crops.image`."""

    def unpack_crop(self, value: Value) -> bytes:
        """A value of that column as the picture that was packed."""

    def crop_bytes(self, stored_bytes: int, head: bytes) -> int:
        """Length of the picture, by that of its value and the value's first HEAD_BYTES."""

    def pack(self, embedding_D: Embeddings) -> Value:
        """An embedding, float32 (D,), as a value of the column `templates.embedding`."""

    def unpack(self, values: Sequence[Value], *, size: int) -> Embeddings:
        """Values of that column as float32 (M, size), bit for bit what was packed.

        Raises GalleryUnavailableError (damaged) for a wrong length or a number that is not finite.
        """


class Database(Protocol):
    """Where the truth of some collections lies. Any thread may call anything.

    Everything may raise GalleryUnavailableError, and a write GalleryFullError.
    """

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one state of the database and changes nothing."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction, durable once its block has ended without an error, else undone."""

    @property
    def has_overwritten(self) -> bool:
        """Whether no copy of anything that was removed is left in the database's files."""

    def erased(self) -> None:
        """Told after a removal was committed: leave no copy of it where that can be avoided."""

    def verify(self) -> None:
        """Let the database check itself. Slow. Raises GalleryUnavailableError with its findings."""

    def compact(self) -> None:
        """Give back the room of what was removed. Slow; nothing else may run meanwhile."""

    def close(self) -> None:
        """Let the database go; a second call does nothing."""
