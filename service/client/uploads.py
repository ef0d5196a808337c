"""The files of a call on their way: read into memory once, or while they are sent."""

import io
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import anyio.to_thread
import httpx

from service.client.call import Call
from service.client.photo import NAMELESS, Photo, read_photo


class Uploads:
    """What httpx takes as `files`, the same for each retry. Closes what it has opened itself."""

    def __init__(self, call: Call[Any]) -> None:
        """Read the files, or open them where the call streams. Raises OSError."""
        with ExitStack() as stack:
            self.parts = [
                (field, _streamed(photo, stack) if call.streams else read_photo(photo))
                for field, photo in call.files
            ]
            self._opened = stack.pop_all()

    def close(self) -> None:
        """Let the files go."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class FromHere:
    """An open file from where it stands, as if it began there: httpx goes back to the beginning."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._start = file, file.tell()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; the new one."""
        start = self._start if whence == io.SEEK_SET else 0
        return self._file.seek(start + offset, whence) - self._start

    def tell(self) -> int:
        """The place, from where it began."""
        return self._file.tell() - self._start


class InThreads(httpx.AsyncByteStream):
    """A body whose parts are read from the disk in worker threads, not in the event loop."""

    def __init__(self, body: httpx.SyncByteStream) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = iter(self._body)
        while (part := await anyio.to_thread.run_sync(next, parts, None)) is not None:
            yield part


def _streamed(photo: Photo, stack: ExitStack) -> tuple[str, Any]:
    if isinstance(photo, (str, os.PathLike)):
        path = Path(photo)
        return path.name, FromHere(cast(BinaryIO, stack.enter_context(path.open("rb"))))
    # What cannot be read twice, as a pipe, has to be kept for a retry, and to know its length.
    if isinstance(photo, bytes) or not photo.seekable():
        return read_photo(photo)
    name = getattr(photo, "name", None)
    return Path(name).name if isinstance(name, str) else NAMELESS, FromHere(photo)
