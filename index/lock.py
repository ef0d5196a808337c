"""One process a gallery: an advisory lock on a file beside it."""

import fcntl
import os
from pathlib import Path

from contract.errors import GalleryLockedError, GalleryUnavailableError


class ProcessLock:
    """Exclusive lock of `<file>.lock`, held from construction to close() or the process's end.

    The kernel drops it with the process, however that ends; the file itself stays, since removing
    it would let two processes lock two files of one name.
    """

    def __init__(self, guarded: Path) -> None:
        """Raises GalleryLockedError (held elsewhere) or GalleryUnavailableError (no such place)."""
        path = guarded.with_name(guarded.name + ".lock")
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise GalleryUnavailableError(
                f"The lock file {path} cannot be opened ({error.strerror}): "
                "the gallery needs a folder that it may write to."
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            if not isinstance(error, BlockingIOError):
                raise GalleryUnavailableError(
                    f"{path} cannot be locked ({error.strerror}): keep the gallery on a local disk."
                ) from error
            raise GalleryLockedError(
                f"The gallery {guarded} is in use by another process: stop that one, or give this "
                "one a gallery file of its own."
            ) from error

    def close(self) -> None:
        """Let go; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
