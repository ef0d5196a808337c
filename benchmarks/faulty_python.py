"""As benchmarks/faulty_vfs.py, for what Python itself does: folders, lock, snapshots."""

import errno
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.faulty_vfs import Fault, Hit
from benchmarks.os_calls import Asked, intercepted

_WRITING: Final = ("open", "mkdir", "fsync", "fdatasync", "replace", "rename", "unlink", "remove")
ERRNOS: Final = {
    "full": (errno.ENOSPC, ("open", "mkdir", "fsync", "replace", "rename")),
    "readonly": (errno.EROFS, _WRITING),
    "ioerr": (errno.EIO, _WRITING),
    "unreadable": (errno.EIO, ("read",)),
}


class FaultyPython:
    """While the block lasts, calls below `folder` can be made to fail; see FaultyVfs."""

    name = None
    nameless = 0

    def __init__(self, folder: Path) -> None:
        self.fault: Fault | None = None
        self.hits: list[Hit] = []
        self._folder = folder.resolve()
        self._seen = 0
        self._lock = threading.Lock()
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._open.enter_context(intercepted(self._between))
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def arm(self, fault: Fault) -> None:
        """Let calls fail from now on, counted from 1."""
        assert fault.kind in ERRNOS
        self.fault, self.hits, self._seen = fault, [], 0

    def lift(self) -> None:
        """Let nothing fail from now on."""
        self.fault = None

    def _between(self, asked: Asked, call: Callable[[], Any]) -> Any:
        with self._lock:
            code = self._code(asked)
        if code:
            raise OSError(code, "made to fail", str(asked.path))
        return call()

    def _code(self, asked: Asked) -> int:
        fault = self.fault
        if fault is None or not asked.path.is_relative_to(self._folder):
            return 0
        code, calls = ERRNOS[fault.kind]
        if asked.name not in calls:
            return 0
        self._seen += 1
        if self._seen < fault.at or (self._seen > fault.at and not fault.lasting):
            return 0
        self.hits.append(Hit(f"Python's {asked.name}", asked.path.suffix[1:], code))
        return code
