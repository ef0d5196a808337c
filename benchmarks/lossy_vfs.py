"""A journal of everything that is done to the files of a folder, to be cut off at any place.

SQLite's files are seen through a virtual file system of SQLite, `RecordingVfs`; what Python does
itself (folders, locks, snapshots) through `Recorder.watching`. The files are really written: the
program that is watched notices nothing. benchmarks/lossy_disk.py tells what of a journal would
still be there after the power was lost.

The memory that SQLite's connections share (`-shm`) is not recorded: nothing of it outlives power.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import apsw

from benchmarks.os_calls import Asked, intercepted

# A file that is removed and made anew under its name is another file: files have numbers.


@dataclass(frozen=True, slots=True)
class Create:
    """A new and empty file in its folder, or a new folder (`file` is None)."""

    path: Path
    file: int | None


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at an offset."""

    file: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A new size in bytes."""

    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """fsync of a file: its bytes and its size are safe, its name is not."""

    file: int


@dataclass(frozen=True, slots=True)
class Delete:
    """A name is gone from its folder."""

    path: Path


@dataclass(frozen=True, slots=True)
class Rename:
    """A file under another name, whose former holder is gone; both in one folder."""

    source: Path
    target: Path
    file: int


@dataclass(frozen=True, slots=True)
class SyncFolder:
    """fsync of a folder: the names in it are safe."""

    path: Path


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that the workload says, an acknowledgement for one."""

    said: Any


Event: TypeAlias = Create | Write | Truncate | Sync | Delete | Rename | SyncFolder | Mark

_LEFT_OUT = "-shm"


class Recorder:
    """The journal of one folder. What lies there at the start counts as safe."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.events: list[Event] = []
        self._lock = threading.RLock()
        self._numbers: dict[Path, int] = {}
        self._contents: dict[int, bytes] = {}
        self._last = 0
        for path in sorted(self.root.rglob("*")):
            self.created(path)
            self._content(path)
            if path.is_file():
                self.events.append(Sync(self._numbers[path]))
        for folder in (self.root, *(path for path in self.root.rglob("*") if path.is_dir())):
            self.events.append(SyncFolder(folder))

    def mark(self, said: Any) -> None:
        """Put something that the workload says into the journal."""
        self.add(Mark(said))

    def add(self, event: Event) -> None:
        """Put one event into the journal."""
        with self._lock:
            self.events.append(event)

    def ours(self, path: Path) -> bool:
        """Whether what happens to this path belongs into the journal."""
        return path.is_relative_to(self.root) and not path.name.endswith(_LEFT_OUT)

    def created(self, path: Path) -> int:
        """Number of the file at `path`, which is made known if it is not yet."""
        with self._lock:
            if path not in self._numbers:
                self._last += 1
                folder = path.is_dir()
                self._numbers[path] = self._last
                self.events.append(Create(path, None if folder else self._last))
            return self._numbers[path]

    def deleted(self, path: Path) -> None:
        """The name is gone."""
        with self._lock:
            if self._numbers.pop(path, None):
                self.events.append(Delete(path))

    def _renamed(self, source: Path, target: Path) -> None:
        """The name has changed; what was written by Python itself is taken in only now."""
        self._content(target, known_as=source)
        file = self._numbers[target] = self._numbers.pop(source)
        self.events.append(Rename(source, target, file))

    def _synced(self, path: Path) -> None:
        if path.is_dir():
            self.events.append(SyncFolder(path))
        else:
            self._content(path)
            self.events.append(Sync(self._numbers[path]))

    def _content(self, path: Path, *, known_as: Path | None = None) -> None:
        """Writes of Python itself are not seen one by one, but their result is."""
        if not path.is_file():
            return
        file, data = self.created(known_as or path), path.read_bytes()
        if self._contents.get(file, b"") != data:
            self._contents[file] = data
            self.events += [Truncate(file, len(data)), Write(file, 0, data)]

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See also what Python does itself."""
        with intercepted(self._saw):
            yield

    def _saw(self, asked: Asked, call: Callable[[], Any]) -> Any:
        if not self.ours(asked.path) or asked.name == "read":
            return call()
        with self._lock:
            result = call()
            if asked.name in ("fsync", "fdatasync"):
                self._synced(asked.path)
            elif asked.target is not None:
                self._renamed(asked.path, asked.target)
            elif asked.name in ("unlink", "remove"):
                self.deleted(asked.path)
            elif asked.path.exists() and asked.path != self.root:
                self.created(asked.path)
            return result


class RecordingVfs(apsw.VFS):
    """SQLite's usual file system, registered as `name`, with all its changes in the journal."""

    def __init__(self, name: str, recorder: Recorder) -> None:
        self.name = name
        self._recorder = recorder
        self._base = "unix"
        super().__init__(name, self._base)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        """See SQLite's sqlite3_vfs."""
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "")
        if not name or not self._recorder.ours(path):
            return apsw.VFSFile(self._base, name, flags)
        return _RecordingFile(self._base, name, flags, path, self._recorder)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        """See SQLite's sqlite3_vfs."""
        super().xDelete(filename, syncdir)
        path = Path(filename)
        if self._recorder.ours(path):
            self._recorder.deleted(path)
            if syncdir:
                self._recorder.add(SyncFolder(path.parent))


_JOURNALS = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL


class _RecordingFile(apsw.VFSFile):
    def __init__(
        self, base: str, name: Any, flags: list[int], path: Path, recorder: Recorder
    ) -> None:
        super().__init__(base, name, flags)
        self._path = path
        self._recorder = recorder
        self._file = recorder.created(path)
        # SQLite's unix files: the first sync of a journal that was opened to be made syncs its
        # folder too. tests/unit/test_benchmarks_lossy_vfs.py looks whether that is so.
        self._folder_is_due = bool(flags[0] & _JOURNALS and flags[0] & apsw.SQLITE_OPEN_CREATE)
        self._delete_on_close = bool(flags[0] & apsw.SQLITE_OPEN_DELETEONCLOSE)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        """See SQLite's sqlite3_io_methods."""
        super().xWrite(data, offset)
        self._recorder.add(Write(self._file, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        """See SQLite's sqlite3_io_methods."""
        super().xTruncate(newsize)
        self._recorder.add(Truncate(self._file, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802
        """See SQLite's sqlite3_io_methods."""
        super().xSync(flags)
        self._recorder.add(Sync(self._file))
        if self._folder_is_due:
            self._folder_is_due = False
            self._recorder.add(SyncFolder(self._path.parent))

    def xClose(self) -> None:  # noqa: N802
        """See SQLite's sqlite3_io_methods."""
        super().xClose()
        if self._delete_on_close:
            self._recorder.deleted(self._path)
