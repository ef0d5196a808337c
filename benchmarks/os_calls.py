"""What this process itself asks of the file system, with somebody in between."""

import builtins
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

_CALLS: Final = ("open", "mkdir", "fsync", "fdatasync", "replace", "rename", "unlink", "remove")


@dataclass(frozen=True, slots=True)
class Asked:
    """A call: its name, what it works on, and for a renaming the new name."""

    name: str
    path: Path
    target: Path | None = None


Between: TypeAlias = Callable[[Asked, Callable[[], Any]], Any]


@contextmanager
def intercepted(between: Between) -> Iterator[None]:
    """Let `between` do the calls that change files: those of the module `os`, and open().

    What SQLite does is not among them. A file that is only read is opened as "read".
    """
    usual = {name: getattr(os, name) for name in _CALLS}
    usual_open = io.open

    def stand_in(name: str) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            target = _path(given[1]) if name in ("replace", "rename") else None
            asked = Asked(name, _path(given[0]), target)
            return between(asked, lambda: usual[name](*given, **named))

        return call

    def open_between(file: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
        def call() -> Any:
            return usual_open(file, mode, *given, **named)

        if not isinstance(file, str | os.PathLike):
            return call()
        return between(Asked("read" if mode in ("r", "rb") else "open", _path(file)), call)

    for name in _CALLS:
        setattr(os, name, stand_in(name))
    builtins.open = io.open = open_between
    try:
        yield
    finally:
        builtins.open = io.open = usual_open
        for name, call in usual.items():
            setattr(os, name, call)


def _path(target: Any) -> Path:
    """A path or a descriptor as a path, links in the folder resolved but not in the name."""
    if isinstance(target, int):
        return Path(os.readlink(f"/proc/self/fd/{target}"))
    path = Path(os.fsdecode(target))
    return Path(os.path.realpath(path.parent)) / path.name
