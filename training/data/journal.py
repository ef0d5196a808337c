"""What is done of a preparation, on disk: kill -9 loses the image in work and no other.

A folder with the pack's `images.npy` as far as it goes, and `journal.jsonl`: first what is being
prepared, then a line for each sample in order. An image is written before its line, so what follows
the last whole line is cut off. Each line has the CRC of its pixels: where a machine lost its power
between the two, the rest is done again.
"""

import fcntl
import io
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from training.data.pack import IMAGES_NAME
from training.data.workers import Done

JOURNAL_NAME = "journal.jsonl"


class JournalError(ValueError):
    """The folder is at another work."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of a sample: `reason` is empty where its image is in the pack."""

    reason: str
    digest: str
    crc: int


class Journal:
    """Open it with what is being prepared, add what is done, and finish."""

    def __init__(
        self, folder: Path, head: dict[str, Any], *, height_px: int, width_px: int
    ) -> None:
        """Go on in `folder`, or begin there. Raises JournalError if other work has begun there."""
        self._shape = (height_px, width_px, 3)
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._journal = (folder / JOURNAL_NAME).open("a+b")
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._journal.close()
            raise JournalError(
                f"Another process is preparing {folder.parent}: wait until it is done."
            ) from error
        try:
            self._images: IO[bytes] = (folder / IMAGES_NAME).open("a+b")
        except OSError:
            self._journal.close()
            raise
        self.entries: list[Entry] = []
        try:
            self._go_on(head)
        except BaseException:
            self.close()
            raise

    def _go_on(self, head: dict[str, Any]) -> None:
        first = json.dumps(head).encode() + b"\n"
        self._journal.seek(0)
        found = self._journal.readline()
        if not found.endswith(b"\n"):  # new, or killed at its very beginning
            self._cut(self._journal, 0)
            self._cut(self._images, 0)
            self._write(self._images, _header(0, self._shape))
            self._write(self._journal, first)
            return
        if found != first:
            raise JournalError(
                f"{self._folder.parent} holds the beginning of another preparation, "
                f"{_differences(json.loads(found), head)}: give the same source and options again "
                f"to go on with it, remove {self._folder} to drop it, or name another --out."
            )
        self._images.seek(len(_header(0, self._shape)))
        good = self._journal.tell()
        for line in self._journal:
            entry = self._entry(line)
            if entry is None:
                break
            self.entries.append(entry)
            good += len(line)
        self._cut(self._journal, good)
        self._cut(self._images, len(_header(0, self._shape)) + self.used * self._size)

    def _entry(self, line: bytes) -> Entry | None:
        """The next entry; None where the line or its image is not whole."""
        try:
            entry = Entry(*json.loads(line))
        except (ValueError, TypeError):
            return None
        if entry.reason:
            return entry
        return entry if zlib.crc32(self._images.read(self._size)) == entry.crc else None

    @property
    def _size(self) -> int:
        return int(np.prod(self._shape))

    @property
    def used(self) -> int:
        """Images in the pack so far."""
        return sum(not entry.reason for entry in self.entries)

    def add(self, done: Done) -> None:
        """Write down what became of the next sample."""
        crc = 0
        if done.crop is not None:
            assert done.crop.shape == self._shape
            assert done.crop.dtype == np.uint8
            data = done.crop.tobytes()
            crc = zlib.crc32(data)
            self._write(self._images, data)
        entry = Entry(done.reason, done.digest, crc)
        line = json.dumps([entry.reason, entry.digest, entry.crc])
        self._write(self._journal, line.encode() + b"\n")
        self.entries.append(entry)

    def finish(self) -> Path:
        """The finished .npy file, still in the journal's folder."""
        path = self._folder / IMAGES_NAME
        with path.open("r+b") as images:  # the journal's own handle writes at the end only
            images.write(_header(self.used, self._shape))
        return path

    def close(self) -> None:
        self._images.close()
        self._journal.close()

    @staticmethod
    def _write(file: IO[bytes], data: bytes) -> None:
        file.write(data)
        file.flush()

    @staticmethod
    def _cut(file: IO[bytes], size: int) -> None:
        file.seek(size)
        file.truncate()


def _header(count: int, shape: tuple[int, int, int]) -> bytes:
    """Of a .npy file. numpy leaves room for the count, so that it can be written at the end."""
    buffer = io.BytesIO()
    fields = {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)}
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()


def _differences(found: dict[str, Any], head: dict[str, Any]) -> str:
    words = [f"{key} {found.get(key)}, not {value}" for key, value in head.items()
             if found.get(key) != value and key != "stamp"]  # fmt: skip
    return "; ".join(words) or "of files that have changed since"
