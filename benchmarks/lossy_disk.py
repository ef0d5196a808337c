"""What a disk still holds when the power is lost amid a journal of benchmarks/lossy_vfs.py.

Safe is what was synced: bytes and sizes by a sync of their file, names by a sync of their folder.
All else is in flight, and each policy says what becomes of it:
- nothing: none of it is there;
- everything: all of it is, as after a killed process;
- a prefix: what was done up to some moment is, and the write at that moment is torn;
- some: any subset of it, sector by sector; a sector may hold garbage, a file may have grown
  without its bytes, a name may be back or not be there yet.

Assumed, as by SQLite itself (SQLITE_IOCAP_POWERSAFE_OVERWRITE): bytes beside those that are
written keep their value, and what a sync has promised is true.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.lossy_vfs import (
    Create,
    Delete,
    Event,
    Mark,
    Rename,
    Sync,
    SyncFolder,
    Truncate,
    Write,
)

SECTOR_BYTES: Final = 512
GARBAGE_CHANCE: Final = 0.1
POLICIES: Final = ("nothing", "everything", "prefix", "some")

Names: TypeAlias = dict[Path, int | None]  # None: a folder
Files: TypeAlias = dict[Path, bytes | None]
NameEvent: TypeAlias = Create | Delete | Rename


@dataclass(slots=True)
class _File:
    safe: bytearray = field(default_factory=bytearray)
    in_flight: list[tuple[int, Write | Truncate]] = field(default_factory=list)


class LossyDisk:
    """The disk after the events given so far, and what it may look like after a power loss."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._files: dict[int, _File] = {}
        self._names: Names = {}
        self._names_in_flight: list[tuple[int, NameEvent]] = []
        self._time = 0

    def apply(self, event: Event) -> None:
        """Let one more event happen."""
        self._time += 1
        if isinstance(event, Write | Truncate):
            self._files[event.file].in_flight.append((self._time, event))
        elif isinstance(event, Sync):
            file = self._files[event.file]
            for _, done in file.in_flight:
                _do(done, file.safe)
            file.in_flight.clear()
        elif isinstance(event, SyncFolder):
            self._sync_folder(event.path)
        elif not isinstance(event, Mark):
            if isinstance(event, Create) and event.file is not None:
                self._files[event.file] = _File()
            self._names_in_flight.append((self._time, event))

    def _sync_folder(self, folder: Path) -> None:
        left = []
        for time, event in self._names_in_flight:
            if _folder_of(event) == folder:
                _rename(event, self._names)
            else:
                left.append((time, event))
        self._names_in_flight = left

    def content(self, number: int) -> bytes:
        """A file with all that was done to it."""
        content = bytearray(self._files[number].safe)
        for _, done in self._files[number].in_flight:
            _do(done, content)
        return bytes(content)

    def after_power_loss(self, policy: str, seed: int) -> Files:
        """The files by their path below the root, as a policy and its dice have it; folders None.

        A file below a folder that is not there is not there either.
        """
        assert policy in POLICIES
        choose = random.Random(seed)
        until = self._moment(choose) if policy == "prefix" else self._time
        chance = {"nothing": 0.0, "some": choose.choice((0.1, 0.5, 0.9))}.get(policy, 1.0)

        def kept(time: int) -> bool:
            return time <= until and choose.random() < chance

        names = dict(self._names)
        for time, event in self._names_in_flight:
            if kept(time):
                _rename(event, names)
        found: Files = {}
        for path, number in sorted(names.items()):
            if path.parent != self._root and path.parent.relative_to(self._root) not in found:
                continue
            inside = path.relative_to(self._root)
            if number is None:
                found[inside] = None
                continue
            file = self._files[number]
            content = bytearray(file.safe)
            for time, done in file.in_flight:
                if policy == "some":
                    _do_some(done, content, choose, chance)
                elif kept(time):
                    torn = policy == "prefix" and time == until
                    _do(_torn(done, choose) if torn else done, content)
            found[inside] = bytes(content)
        return found

    def _moment(self, choose: random.Random) -> int:
        times = [time for time, _ in self._names_in_flight]
        times += [time for file in self._files.values() for time, _ in file.in_flight]
        return choose.choice([*times, self._time])


def write_out(files: Files, root: Path) -> None:
    """Make the files of `after_power_loss` below a folder that is empty."""
    for path, content in files.items():
        if content is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)


def _folder_of(event: NameEvent) -> Path:
    return (event.target if isinstance(event, Rename) else event.path).parent


def _rename(event: NameEvent, names: Names) -> None:
    if isinstance(event, Create):
        names[event.path] = event.file
    elif isinstance(event, Delete):
        names.pop(event.path, None)
    else:
        names.pop(event.source, None)
        names[event.target] = event.file


def _do(event: Write | Truncate, content: bytearray) -> None:
    if isinstance(event, Truncate):
        _resize(content, event.size)
    else:
        _resize(content, max(len(content), event.offset))
        content[event.offset : event.offset + len(event.data)] = event.data


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


def _torn(event: Write | Truncate, choose: random.Random) -> Write | Truncate:
    """Only the first bytes of a write."""
    if isinstance(event, Truncate):
        return event
    return Write(event.file, event.offset, event.data[: choose.randrange(len(event.data) + 1)])


def _do_some(
    event: Write | Truncate, content: bytearray, choose: random.Random, chance: float
) -> None:
    if isinstance(event, Truncate):
        if choose.random() < chance:
            _do(event, content)
        return
    end = event.offset + len(event.data)
    if end > len(content) and choose.random() < chance:
        _resize(content, end)
    for piece in _sectors(event):
        if choose.random() < chance:
            _do(piece, content)
        elif choose.random() < GARBAGE_CHANCE and piece.offset + len(piece.data) <= len(content):
            _do(Write(event.file, piece.offset, choose.randbytes(len(piece.data))), content)


def _sectors(event: Write) -> list[Write]:
    """The write, cut at the borders of sectors."""
    pieces, start = [], 0
    while start < len(event.data):
        size = SECTOR_BYTES - (event.offset + start) % SECTOR_BYTES
        data = event.data[start : start + size]
        pieces.append(Write(event.file, event.offset + start, data))
        start += size
    return pieces
