"""Files that are kept for some hours and then removed, whoever made them."""

import fcntl
import logging
import os
import time
from pathlib import Path
from typing import Final

from service.every import Every

log = logging.getLogger(__name__)

_SWEEP_S: Final = 60.0


class KeptFiles:
    """The files of `folder` that match `pattern`, and a thread that removes the old ones.

    A file is old when nothing was written to it for `keep_s` seconds. One that somebody holds a
    lock on (flock) is in use and stays. Any thread may call anything. Several processes may share
    the folder.
    """

    def __init__(self, folder: Path, pattern: str, *, keep_s: float) -> None:
        self._folder, self._pattern, self._keep_s = folder, pattern, keep_s
        self._sweeping = Every(
            self.sweep,
            every_s=_SWEEP_S,
            name=f"old {folder.name}",
            failed="the sweep for old files failed and is tried again",
            at_once=True,
        )

    def sweep(self) -> None:
        """Remove the files whose time is over."""
        for path in self._folder.glob(self._pattern):
            try:
                self._remove_if_old(path)
            except FileNotFoundError:
                continue  # Another process was faster.
            # One that cannot be removed must not keep the others.
            except OSError:
                log.exception("%s is too old and cannot be removed", path)

    def close(self) -> None:
        """End the thread; files stay for their time."""
        self._sweeping.close()

    def _remove_if_old(self, path: Path) -> None:
        if not self._is_old(path.stat()):
            return
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            # It may have been written to before it was locked.
            if self._is_old(os.fstat(file.fileno())):
                path.unlink()
                log.info("%s was removed, its time was over", path)

    def _is_old(self, status: os.stat_result) -> bool:
        return status.st_mtime <= time.time() - self._keep_s
