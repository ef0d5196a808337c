"""SQLite's errors to ours, in words that name the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from contract.errors import GalleryFullError, GalleryUnavailableError

# What the storage, the file or another program may do to us; all else is our own mistake.
_UNAVAILABLE = {
    apsw.IOError: "cannot be read or written: look at the disk that it is on",
    apsw.ReadOnlyError: "may not be written: give this process the right to",
    apsw.PermissionsError: "may not be written: give this process the right to",
    apsw.CantOpenError: "cannot be opened: check that the path names a file, and its rights",
    apsw.CorruptError: "is damaged: bring back a copy of it",
    apsw.NotADBError: "is not a gallery, or is damaged: name another file or bring back a copy",
    apsw.BusyError: "is held by another program: close that one",
    apsw.ProtocolError: "is held by another program: close that one",
    apsw.ConnectionClosedError: "is closed",
}


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Raise apsw's errors about the file at `path` as GalleryFullError/GalleryUnavailableError."""
    try:
        yield
    except apsw.FullError as error:
        raise GalleryFullError(
            f"There is no room left for the gallery {path}: free some, then try again. "
            "What was acknowledged is safe."
        ) from error
    except tuple(_UNAVAILABLE) as error:
        told = next(words for kind, words in _UNAVAILABLE.items() if isinstance(error, kind))
        raise GalleryUnavailableError(f"The gallery {path} {told} ({error}).") from error


@contextmanager
def opening_errors(path: Path) -> Iterator[None]:
    """As storage_errors; any other error of SQLite means tables that are not as we made them."""
    try:
        with storage_errors(path):
            yield
    except apsw.Error as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, finding: str) -> GalleryUnavailableError:
    """The error for content that no version of ours has written."""
    return GalleryUnavailableError(
        f"The gallery {path} is damaged ({finding}): bring back a copy of it."
    )
