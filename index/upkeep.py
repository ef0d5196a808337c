"""Looking after a whole database: its size, its room, its schema."""

from pathlib import Path

import apsw

from index import sqlite_schema
from index.galleries import Galleries, is_postgres
from index.lock import ProcessLock
from index.protection.row_cipher import HEAD_BYTES
from index.sqlite import SqliteDatabase
from index.sqlite_errors import opening_errors


def compact(galleries: Galleries) -> tuple[int, int]:
    """Give back the room of what was removed; bytes before and after. Writes wait meanwhile."""

    def work() -> tuple[int, int]:
        before = size_bytes(galleries)
        galleries.database.compact()
        return before, size_bytes(galleries)

    return galleries.queue.exclusively(work)


def size_bytes(galleries: Galleries) -> int:
    """Of the database."""
    if isinstance(galleries.database, SqliteDatabase):
        return galleries.database.size_bytes()
    with galleries.database.reading() as c:
        return int(c.execute("SELECT pg_database_size(current_database())")[0][0])


def rows_to_encrypt(galleries: Galleries) -> int | None:
    """How many embeddings and pictures are not encrypted by the newest row key; None: there is
    none."""
    database = galleries.database
    if not isinstance(database, SqliteDatabase) or not database.cipher.seals:
        return None
    head = database.cipher.head
    with database.reading() as c:
        return sum(
            int(c.execute(f"SELECT count(*) FROM {table} WHERE {start} <> ?", (head,))[0][0])
            for table, start in (
                ("templates", f"substr(embedding, 1, {HEAD_BYTES})"),
                ("crops", f"substr(image, 1, {HEAD_BYTES})"),
            )
        )


def schema_version(location: Path | str) -> int | None:
    """Of the gallery at a location, as it is and without opening it; None: there is none yet.

    Raises GalleryLockedError, GalleryError (a newer schema) or GalleryUnavailableError.
    """
    if is_postgres(location):
        return _postgres_version(str(location))
    path = Path(location).resolve()
    if not path.exists():
        return None
    lock = ProcessLock(path)
    try:
        with opening_errors(path):
            raw = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            try:
                if sqlite_schema.is_empty(raw):
                    return None
                return sqlite_schema.check_file(raw, path)
            finally:
                raw.close()
    finally:
        lock.close()


def _postgres_version(location: str) -> int | None:
    from index.postgres import PostgresDatabase

    database = PostgresDatabase(location)
    try:
        with database.reading() as c:
            if not c.execute("SELECT to_regclass('schema_version') IS NOT NULL")[0][0]:
                return None
            rows = c.execute("SELECT version FROM schema_version")
            return int(rows[0][0]) if rows else None
    finally:
        database.close()
