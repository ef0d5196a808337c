"""The truth in one SQLite file, for one process.

WAL with synchronous=FULL: a commit that returned survives a killed process and a lost power
supply. One connection writes, and checkpoints; others read, so that looking something up never
waits for a writer's fsync.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import apsw

from contract.errors import GalleryUnavailableError
from index import sqlite_schema as schema
from index.folders import make_folder, sync_names
from index.lock import ProcessLock
from index.protection.row_cipher import RowCipher
from index.sqlite_connection import SqliteConnection
from index.sqlite_errors import damaged, opening_errors, storage_errors
from index.sqlite_scrubbing import scrubbing_vfs
from index.tables import audit

_BUSY_TIMEOUT_MS: Final = 2_000
# A search reads for some milliseconds; who reads for longer is not waited for.
_ERASURE_WAIT_MS: Final = 100
# 8 KiB: three templates of 512 numbers a page; in the usual 4 KiB one, and half of it empty.
_PAGE_BYTES: Final = 8_192
_CACHE_KIB: Final = 65_536
# Pages in the log from which on they are brought into the file: 8 MiB.
_CHECKPOINT_PAGES: Final = 1_000


class SqliteDatabase:
    """Database in the file at `path`; writing() is for one thread at a time."""

    def __init__(
        self, path: Path, *, vfs: str | None = None, cipher: RowCipher | None = None
    ) -> None:
        """Open or make the file, and its folder; an older schema becomes the current one.

        cipher: what embeddings and pictures are sealed by; unless given, nothing.
        vfs: SQLite's name of another virtual file system than its own, to prove things with.
        Raises GalleryLockedError, GalleryError (a newer schema) or GalleryUnavailableError (not a
        gallery, damaged, no such place, no permission).
        """
        self.path = path.resolve()
        self.cipher = cipher or RowCipher(None)
        self._vfs = scrubbing_vfs(vfs)
        self._pool_lock = threading.Lock()
        self._idle: list[SqliteConnection] = []
        self._writer: SqliteConnection | None = None
        self._closed = False
        # Whether a copy of something removed may still be in the write-ahead log.
        self._unerased = False
        self._log_pages = 0
        self.checkpoint_pages = _CHECKPOINT_PAGES
        try:
            make_folder(self.path.parent)
        except OSError as error:
            raise _no_access(self.path, error) from error
        self._lock = ProcessLock(self.path)
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        try:
            _make_file(self.path)
        except OSError as error:
            raise _no_access(self.path, error) from error
        with opening_errors(self.path):
            raw = self._connect(apsw.SQLITE_OPEN_READWRITE)
            self._writer = SqliteConnection(raw, self.path, self.cipher)
            # Nothing is changed before the file is known to be ours, not even its journal mode.
            empty = schema.is_empty(raw)
            version = schema.SCHEMA_VERSION if empty else schema.check_file(raw, self.path)
            if empty:
                raw.pragma("page_size", _PAGE_BYTES)
            if raw.pragma("journal_mode", "wal") != "wal":
                raise GalleryUnavailableError(
                    f"{self.path} lies where SQLite cannot keep a write-ahead log: "
                    "keep the gallery on a local disk."
                )
            raw.pragma("synchronous", "full")
            raw.pragma("secure_delete", "on")
            raw.pragma("cache_size", -_CACHE_KIB)
            # Checkpoints are ours. SQLite's own runs inside COMMIT, and an error of it would look
            # as if the commit had failed, which it has not.
            raw.set_wal_hook(self._note_log)
            if empty or version < schema.SCHEMA_VERSION:
                with self.writing() as connection:
                    schema.create_tables(raw) if empty else schema.migrate(raw, version)
                    audit.seal(connection)
            raw.pragma("foreign_keys", "on")
            if version < schema.SCHEMA_VERSION:
                self.verify()
        # What was left in the log by a process that was killed may be of removed subjects.
        self.erased()

    def close(self) -> None:
        """See Database. A reading under way is let finish; its connection is closed then."""
        with self._pool_lock:
            self._closed = True
            while self._idle:
                self._idle.pop().raw.close()
            if self._writer is not None:
                # Closing is a checkpoint, too; what it cannot do the next opening does.
                with suppress(apsw.Error):
                    self._writer.raw.close()
            self._lock.close()

    @contextmanager
    def reading(self) -> Iterator[SqliteConnection]:
        """See Database."""
        connection = self._reader()
        try:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.raw.in_transaction:
                    connection.execute("ROLLBACK")
        finally:
            with self._pool_lock:
                if self._closed:
                    connection.raw.close()
                else:
                    self._idle.append(connection)

    @contextmanager
    def writing(self) -> Iterator[SqliteConnection]:
        """See Database."""
        connection = self._open_writer()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.raw.in_transaction:
                connection.execute("ROLLBACK")
            raise
        if self._unerased:
            # Whoever reads for long (a calibration, an export) would hold up every write.
            self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE, wait_ms=0)
        elif self._log_pages >= self.checkpoint_pages:
            self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)

    def erased(self) -> None:
        """Bring the log into the file, where secure_delete has overwritten the rows, and empty it.

        A reader that is in the middle of a transaction can hold that up: then the next write
        tries again, or the next opening.
        """
        self._unerased = True
        self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE, wait_ms=_ERASURE_WAIT_MS)

    @property
    def has_overwritten(self) -> bool:
        """See Database. False while a reader holds the log up."""
        return not self._unerased

    def verify(self) -> None:
        """See Database."""
        with self.reading() as connection:
            faults = connection.execute("PRAGMA integrity_check(1)")
            faults += connection.execute("PRAGMA foreign_key_check")
        if faults != [("ok",)]:
            raise damaged(self.path, f"SQLite says {faults}")

    def compact(self) -> None:
        """See Database."""
        raw = self._open_writer().raw
        # The copy that it makes may be larger than the memory.
        raw.pragma("temp_store", "default")
        try:
            self._open_writer().execute("VACUUM")
        finally:
            raw.pragma("temp_store", "memory")
        self.erased()

    def size_bytes(self) -> int:
        """Of the file and its log."""
        names = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(name.stat().st_size for name in names if name.exists())

    def _note_log(self, connection: apsw.Connection, name: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint(self, mode: int, *, wait_ms: int = _BUSY_TIMEOUT_MS) -> None:
        raw = self._open_writer().raw
        raw.set_busy_timeout(wait_ms)
        try:
            with storage_errors(self.path):
                # Busy is answered as an error by apsw, or as a log that is not empty.
                left, _ = raw.wal_checkpoint(mode=mode)
        except GalleryUnavailableError:
            # The write itself is durable: it must not be told as failed. Tried again later.
            return
        finally:
            raw.set_busy_timeout(_BUSY_TIMEOUT_MS)
        if mode == apsw.SQLITE_CHECKPOINT_TRUNCATE:
            self._unerased = left != 0

    def _open_writer(self) -> SqliteConnection:
        if self._closed or self._writer is None:
            raise self._closed_error()
        return self._writer

    def _closed_error(self) -> GalleryUnavailableError:
        return GalleryUnavailableError(f"The gallery {self.path} is closed.")

    def _reader(self) -> SqliteConnection:
        with self._pool_lock:
            if self._closed:
                raise self._closed_error()
            if self._idle:
                return self._idle.pop()
            with storage_errors(self.path):
                raw = self._connect(apsw.SQLITE_OPEN_READONLY)
            return SqliteConnection(raw, self.path, self.cipher)

    def _connect(self, flags: int) -> apsw.Connection:
        connection = apsw.Connection(str(self.path), flags=flags, vfs=self._vfs)
        try:
            connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
            # A file that somebody tampered with must not run anything, nor be read past its cells.
            connection.pragma("trusted_schema", "off")
            connection.pragma("cell_size_check", "on")
            # What a write can take back: not into files elsewhere, which nobody looks after.
            connection.pragma("temp_store", "memory")
        except BaseException:
            connection.close()
            raise
        return connection


def _make_file(path: Path) -> None:
    """Made here and not by SQLite: faces are for the owner's eyes only, a file that cannot be
    written is told at the start, and its name in the folder is on the disk before its content."""
    new = not path.exists()
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    if new:
        sync_names(path.parent)


def _no_access(path: Path, error: OSError) -> GalleryUnavailableError:
    return GalleryUnavailableError(
        f"The gallery {path} cannot be opened ({error.strerror}): it must be a file, in a folder, "
        "that this process may write."
    )
