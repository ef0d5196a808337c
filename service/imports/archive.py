"""A zip of photos, one folder a subject. Nothing is unpacked to disk, so no name can escape.

Whatever a zip claims of itself is bounded before it costs memory: the size of its directory, the
number of its files, and the bytes of each as they come out.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import TracebackType
from typing import BinaryIO, Final, Self

from service.request_error import RequestError

# Decompressing these two gives out as much as asked for, and no more.
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DIRECTORY_BYTES_PER_FILE: Final = 256
_DIRECTORY_BYTES_MIN: Final = 1 << 16
_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_END_BYTES, _LOCATOR_BYTES, _END_64_BYTES, _COMMENT_MAX = 22, 20, 56, 1 << 16
_IN_ANOTHER_FIELD: Final = 0xFFFFFFFF
# What zipfile and zlib raise of bytes that are no zip, or a damaged one.
_DAMAGED: Final = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    ValueError,
    EOFError,
    OSError,
    OverflowError,
    struct.error,
    zlib.error,
)


class UnreadablePhoto(Exception):  # noqa: N818 - a step of the work, not an error of ours
    """A file of the zip cannot be read. reason: for machines; the message is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoEntry:
    """A file of the zip. index: its place among them. folder: whose it is by where it lies."""

    index: int
    path: str
    folder: str


class PhotoArchive:
    """An open zip; one thread at a time. Closes `file` in the end."""

    def __init__(self, file: BinaryIO, *, max_photos: int) -> None:
        """Raises RequestError: no zip, a damaged one, or one of too many files."""
        self._file = file
        try:
            size = _directory_bytes(file)
            if size > _DIRECTORY_BYTES_MIN + max_photos * _DIRECTORY_BYTES_PER_FILE:
                raise _too_many(max_photos)
            self._zip = zipfile.ZipFile(file)
        except _DAMAGED as error:
            raise RequestError(
                "archive", f"The archive is not a zip, or it is damaged: {error}. Send it anew."
            ) from error
        self._entries = [info for info in self._zip.infolist() if _is_photo(info)]
        if len(self._entries) > max_photos:
            raise _too_many(max_photos)
        if not self._entries:
            raise RequestError("archive", "The zip has no files: put photos in, a folder for each.")

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[PhotoEntry]:
        for index, info in enumerate(self._entries):
            path = PurePosixPath(info.filename)
            folder = path.parent.name or path.stem
            yield PhotoEntry(index=index, path=info.filename, folder=folder)

    def read(self, entry: PhotoEntry, *, max_bytes: int) -> bytes:
        """The bytes of a file. Raises UnreadablePhoto."""
        info = self._entries[entry.index]
        if info.compress_type not in _METHODS:
            raise UnreadablePhoto(
                "unknown_compression", "The file is compressed in a way that is not read: deflate."
            )
        try:
            with self._zip.open(info) as stream:
                data = stream.read(max_bytes + 1)
        except _DAMAGED as error:
            raise UnreadablePhoto(
                "damaged_entry", f"The file cannot be read from the zip: {error}."
            ) from error
        if len(data) > max_bytes:
            raise UnreadablePhoto("image_too_large", f"The file has more than {max_bytes} bytes.")
        return data

    def close(self) -> None:
        """Let the file go."""
        self._zip.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _is_photo(info: zipfile.ZipInfo) -> bool:
    """Not a folder, and nothing that an operating system puts beside photos."""
    path = PurePosixPath(info.filename)
    return not (info.is_dir() or path.name.startswith(".") or "__MACOSX" in path.parts)


def _too_many(max_photos: int) -> RequestError:
    return RequestError("archive", f"The zip has more than {max_photos} files: send several.")


def _directory_bytes(file: BinaryIO) -> int:
    """What the zip's end says of its directory, which zipfile reads at once and as a whole.

    Raises BadZipFile.
    """
    length = file.seek(0, 2)
    start = max(0, length - _COMMENT_MAX - _END_BYTES - _LOCATOR_BYTES)
    file.seek(start)
    tail = file.read()
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < _END_BYTES:
        raise zipfile.BadZipFile("its end is missing")
    size = int(struct.unpack_from("<I", tail, end + 12)[0])
    locator = end - _LOCATOR_BYTES
    if locator >= 0 and tail[locator : locator + 4] == _LOCATOR_64:
        file.seek(start + locator - _END_64_BYTES)
        record = file.read(_END_64_BYTES)
        if record[:4] == _END_64:
            return max(size % _IN_ANOTHER_FIELD, int(struct.unpack_from("<Q", record, 40)[0]))
    return size
