"""The truth: subjects and templates in one SQLite file.

WAL with synchronous=FULL: a commit that returned survives a killed process and a lost power
supply. Each write is one transaction that also counts the gallery's revision up.

Two connections: the writer's, which the owner serialises, and a reader's with a lock of its own,
so that looking something up never waits for a writer's fsync.
Shapes: M templates of one enrolment, N templates, D embedding size.
"""

import json
import os
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from contract.embedding_contract import EmbeddingContract
from contract.errors import GalleryUnavailableError
from index import schema
from index.checks import metadata_text
from index.lock import ProcessLock
from index.records import (
    Embeddings,
    StoredEnrollment,
    StoredRemoval,
    StoredSubject,
    StoredTemplate,
    Subject,
    TemplateBatch,
)
from index.sqlite_errors import damaged, opening_errors, storage_errors

_BUSY_TIMEOUT_MS = 2_000
_BATCH_ROWS = 4_096
_BYTES = np.dtype("<f4")

_SUBJECT = """
SELECT s.number, s.id, s.name, s.external_id, s.metadata, s.created_at,
       (SELECT count(*) FROM templates WHERE subject_number = s.number)
"""


class GalleryStore:
    """An open gallery file. Every method may raise GalleryUnavailableError; a write that raises
    anything has changed nothing, and one that raises GalleryFullError found no room."""

    def __init__(self, path: Path, contract: EmbeddingContract) -> None:
        """Open or make the file at `path`, and its folder.

        Raises GalleryLockedError, ContractMismatchError, GalleryError (a newer schema) or
        GalleryUnavailableError (not a gallery, damaged, no such place, no permission).
        """
        self._path = path.resolve()
        self._size = contract.size
        self._read_lock = threading.Lock()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _no_access(self._path, error) from error
        self._lock = ProcessLock(self._path)
        self._connections: list[apsw.Connection] = []
        try:
            self._open(contract)
        except BaseException:
            self.close()
            raise

    def _open(self, contract: EmbeddingContract) -> None:
        try:
            # Made here and not by SQLite: faces are for the owner's eyes only, and a file that
            # cannot be written is told at the start.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise _no_access(self._path, error) from error
        with opening_errors(self._path):
            self._writer = self._connect(apsw.SQLITE_OPEN_READWRITE)
            # Nothing is changed before the file is known to be ours, not even its journal mode.
            if not schema.is_empty(self._writer):
                schema.check_file(self._writer, self._path)
            if self._writer.pragma("journal_mode", "wal") != "wal":
                raise GalleryUnavailableError(
                    f"{self._path} lies where SQLite cannot keep a write-ahead log: "
                    "keep the gallery on a local disk."
                )
            self._writer.pragma("synchronous", "full")
            self._writer.pragma("secure_delete", "on")
            self._writer.pragma("foreign_keys", "on")
            if schema.is_empty(self._writer):
                with self._transaction():
                    schema.create_tables(self._writer, contract)
            schema.check_contract(self._writer, contract, self._path)
            self._reader = self._connect(apsw.SQLITE_OPEN_READONLY)

    def close(self) -> None:
        """Close the file and let other processes have it; a second call does nothing."""
        with self._read_lock:
            while self._connections:
                self._connections.pop().close()
            self._lock.close()

    # -- reading ------------------------------------------------------------------------------

    def revision(self) -> int:
        """Number of writes so far."""
        return int(self._read("SELECT revision FROM gallery")[0][0])

    def subject_count(self) -> int:
        """Number of subjects; O(that number)."""
        return int(self._read("SELECT count(*) FROM subjects")[0][0])

    def subject_by_id(self, subject_id: str) -> StoredSubject | None:
        """The subject of that id, or None."""
        return self._one_subject(f"{_SUBJECT} FROM subjects s WHERE s.id = ?", subject_id)

    def subject_by_external_id(self, external_id: str) -> StoredSubject | None:
        """The subject of that external id, or None."""
        return self._one_subject(f"{_SUBJECT} FROM subjects s WHERE s.external_id = ?", external_id)

    def subjects(self, *, limit: int, after: int) -> list[StoredSubject]:
        """Up to `limit` subjects with numbers above `after`, ascending."""
        sql = f"{_SUBJECT} FROM subjects s WHERE s.number > ? ORDER BY s.number LIMIT ?"
        return [_stored_subject(row) for row in self._read(sql, (after, limit))]

    def templates(self, numbers: Collection[int]) -> dict[int, StoredTemplate]:
        """Templates of these numbers with their subjects; those that are gone are left out."""
        sql = (
            f"{_SUBJECT}, t.id FROM templates t JOIN subjects s ON s.number = t.subject_number"
            " WHERE t.number = ?"
        )
        found = {}
        with storage_errors(self._path), self._read_lock:
            # One snapshot: a subject is there for all of its templates or for none.
            self._reader.execute("BEGIN")
            try:
                for number in numbers:
                    rows: list[Any] = self._reader.execute(sql, (number,)).fetchall()
                    for row in rows:
                        subject = _stored_subject(row).subject
                        found[number] = StoredTemplate(id=row[7], subject=subject)
            finally:
                self._reader.execute("COMMIT")
        return found

    def all_templates(self) -> Iterator[TemplateBatch]:
        """Every template by ascending number, in batches. For when nobody writes."""
        sql = (
            "SELECT number, subject_number, embedding FROM templates WHERE number > ?"
            " ORDER BY number LIMIT ?"
        )
        last = 0
        while rows := self._read(sql, (last, _BATCH_ROWS)):
            last = rows[-1][0]
            yield self._batch(rows)

    def verify(self) -> None:
        """Let SQLite check the whole file; GalleryUnavailableError if it finds a fault. Slow."""
        faults = self._read("PRAGMA integrity_check(1)") + self._read("PRAGMA foreign_key_check")
        if faults != [("ok",)]:
            raise damaged(self._path, f"SQLite says {faults}")

    # -- writing: one caller at a time ----------------------------------------------------------

    def enroll(
        self,
        subject: Subject,
        template_ids: Sequence[str],
        embeddings_MD: Embeddings,
        *,
        number: int | None,
    ) -> StoredEnrollment:
        """Commit templates of a subject; `number` of one that is there, None makes it anew."""
        with self._transaction():
            if number is None:
                number = self._insert(
                    "INSERT INTO subjects (id, name, external_id, metadata, created_at)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (
                        subject.id,
                        subject.name,
                        subject.external_id,
                        metadata_text(subject.metadata),
                        subject.created_at,
                    ),
                )
            numbers = [
                self._insert(
                    "INSERT INTO templates (id, subject_number, embedding) VALUES (?, ?, ?)",
                    (template_id, number, row.astype(_BYTES).tobytes()),
                )
                for template_id, row in zip(template_ids, embeddings_MD, strict=True)
            ]
            revision = self._count_up()
        return StoredEnrollment(
            subject_number=number,
            template_numbers=np.array(numbers, dtype=np.int64),
            revision=revision,
        )

    def remove_subject(self, number: int) -> StoredRemoval:
        """Commit the removal of a subject that is there, with its templates."""
        with self._transaction():
            sql = "SELECT number FROM templates WHERE subject_number = ?"
            numbers = [row[0] for row in self._writer.execute(sql, (number,))]
            self._writer.execute("DELETE FROM subjects WHERE number = ?", (number,))
            revision = self._count_up()
        return StoredRemoval(template_numbers=np.array(numbers, dtype=np.int64), revision=revision)

    # -- inside -------------------------------------------------------------------------------

    def _connect(self, flags: int) -> apsw.Connection:
        connection = apsw.Connection(str(self._path), flags=flags)
        self._connections.append(connection)
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        # A file that somebody tampered with must not run anything, nor be read past its cells.
        connection.pragma("trusted_schema", "off")
        connection.pragma("cell_size_check", "on")
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with storage_errors(self._path):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._writer.execute("COMMIT")
            except BaseException:
                # After some errors, a full disk among them, SQLite has rolled back by itself.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def _insert(self, sql: str, values: tuple[str | int | bytes | None, ...]) -> int:
        self._writer.execute(sql, values)
        return self._writer.last_insert_rowid()

    def _count_up(self) -> int:
        sql = "UPDATE gallery SET revision = revision + 1 RETURNING revision"
        return int(self._writer.execute(sql).get)

    def _read(self, sql: str, values: tuple[str | int, ...] = ()) -> list[Any]:
        with storage_errors(self._path), self._read_lock:
            return self._reader.execute(sql, values).fetchall()

    def _one_subject(self, sql: str, key: str) -> StoredSubject | None:
        rows = self._read(sql, (key,))
        return _stored_subject(rows[0]) if rows else None

    def _batch(self, rows: list[tuple[int, int, bytes]]) -> TemplateBatch:
        if any(len(row[2]) != self._size * _BYTES.itemsize for row in rows):
            raise damaged(
                self._path, "a template has not the length that the gallery's contract says"
            )
        embeddings = np.frombuffer(b"".join(row[2] for row in rows), dtype=_BYTES)
        if not np.isfinite(embeddings).all():
            raise damaged(self._path, "a template holds a number that is not finite")
        return TemplateBatch(
            numbers=np.array([row[0] for row in rows], dtype=np.int64),
            subject_numbers=np.array([row[1] for row in rows], dtype=np.int64),
            embeddings=embeddings.astype(np.float32).reshape(-1, self._size),
        )


def _stored_subject(row: tuple[Any, ...]) -> StoredSubject:
    number, subject_id, name, external_id, metadata, created_at, template_count = row[:7]
    subject = Subject(
        id=subject_id,
        name=name,
        external_id=external_id,
        metadata=json.loads(metadata),
        template_count=template_count,
        created_at=created_at,
    )
    return StoredSubject(number=number, subject=subject)


def _no_access(path: Path, error: OSError) -> GalleryUnavailableError:
    return GalleryUnavailableError(
        f"The gallery {path} cannot be opened ({error.strerror}): it must be a file, in a folder, "
        "that this process may write."
    )
