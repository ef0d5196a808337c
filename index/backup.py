"""A gallery file as it is at one moment, copied while a service works on it, and put back."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apsw

from contract.errors import GalleryError, GalleryFullError, GalleryUnavailableError
from index.folders import sync_names
from index.lock import ProcessLock
from index.sqlite_errors import damaged, opening_errors
from index.sqlite_schema import check_file

ASIDE: Final = ".before-restore"
_OF_SQLITE: Final = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """aside: the folder of the former gallery, None where there was none.

    returned: collection and id of each subject that the former did not have any more, None if it
    cannot be read: whoever was removed since the backup has to be removed again.
    """

    aside: Path | None
    returned: list[tuple[str, str]] | None


def back_up(gallery: Path, to: Path) -> int:
    """Copy all that was acknowledged into the new file `to`, readable for its owner; its bytes.

    A service may be working on the gallery: the copy is of one moment, and holds up nobody, except
    that what is removed meanwhile leaves the write-ahead log only after it. What was removed before
    is not in the copy. Raises GalleryError (`to` is there already, or a newer schema),
    GalleryFullError, GalleryUnavailableError or OSError.
    """
    _check_absent(to)
    if not gallery.is_file():
        raise GalleryUnavailableError(f"There is no gallery {gallery}: name one by --gallery.")
    with _new_file(to) as copy:
        with opening_errors(gallery), closing(_opened(gallery)) as connection:
            check_file(connection, gallery)
            try:
                # One reading transaction: a copy page by page would begin anew with each write.
                connection.execute("VACUUM INTO ?", (str(copy),))
            except apsw.FullError as error:
                raise GalleryFullError(
                    f"There is no room for a backup in {to.parent}: free some, then try again."
                ) from error
        check(copy)
        _check_absent(to)
        return copy.stat().st_size


def restore(backup: Path, gallery: Path) -> Restored:
    """Put a backup where a gallery was, or was not; the former one is set aside.

    Nothing is changed before the backup was looked through. Raises GalleryLockedError (a process
    works on the gallery), GalleryError (a former one was set aside before, or a newer schema),
    GalleryUnavailableError (the backup is damaged or none) or OSError.
    """
    check(backup)
    # The folder of a gallery of a new machine is not there yet.
    gallery.parent.mkdir(parents=True, exist_ok=True)
    lock = ProcessLock(gallery)
    try:
        aside = gallery.with_name(gallery.name + ASIDE)
        if aside.exists():
            raise GalleryError(
                f"{aside} is there, from an earlier restore: remove it, or carry it away."
            )
        with _new_file(gallery) as copy:
            shutil.copyfile(backup, copy)
            there = _set_aside(gallery, aside)
        returned = _returned(gallery, aside / gallery.name) if there else []
        return Restored(aside=aside if there else None, returned=returned)
    finally:
        lock.close()


def check(path: Path) -> None:
    """Look through a gallery file. Raises GalleryUnavailableError or GalleryError: not whole."""
    with opening_errors(path), closing(_opened(path)) as connection:
        check_file(connection, path)
        faults = [*connection.execute("PRAGMA integrity_check(1)")]
        faults += connection.execute("PRAGMA foreign_key_check")
    if faults != [("ok",)]:
        raise damaged(path, f"SQLite says {faults}")


def _opened(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    # A file that somebody tampered with must not run anything, nor be read past its cells.
    connection.pragma("trusted_schema", "off")
    connection.pragma("cell_size_check", "on")
    return connection


def _check_absent(path: Path) -> None:
    if path.exists():
        raise GalleryError(f"There is a file {path} already: name another one, or remove it.")


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """An empty file, which gets its name when all is on the disk, and is removed otherwise."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".oneglance-")
    copy = Path(name)
    try:
        yield copy
        os.fsync(descriptor)
        copy.rename(path)
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    sync_names(path.parent)


def _set_aside(gallery: Path, aside: Path) -> bool:
    """Move the file, its log and the snapshots of its indexes, if there are any."""
    found = [gallery.with_name(gallery.name + suffix) for suffix in _OF_SQLITE]
    found += gallery.parent.glob(f"{gallery.name}.index-*")
    there = [path for path in found if path.exists()]
    if there:
        aside.mkdir(mode=0o700)
    for path in there:
        path.rename(aside / path.name)
    if there:
        sync_names(aside)
    return bool(there)


def _returned(now: Path, before: Path) -> list[tuple[str, str]] | None:
    try:
        return sorted(_subjects(now) - _subjects(before))
    except apsw.Error:  # Damaged, which may be why it was restored, or of the first schema.
        return None


def _subjects(path: Path) -> set[tuple[str, str]]:
    with closing(_opened(path)) as connection:
        return set(
            connection.execute(
                "SELECT c.id, s.id FROM subjects s JOIN collections c"
                " ON c.number = s.collection_number"
            )
        )
