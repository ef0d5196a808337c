"""Files of a folder, a zip or a tar, by their name inside it."""

import os
import tarfile
import zipfile
import zlib
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import IO, Protocol

from training.data.sources.base import SourceError, UnusableError, Unused

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
# What reading a damaged, encrypted or unknown member raises.
READ_ERRORS = (
    OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, tarfile.TarError,
)  # fmt: skip


class Files(Protocol):
    """members: name (with `/` between folders) -> a number that tells other content: size or CRC.

    odd: names that are no readable file, with the reason; those of folders end in `/`.
    """

    @property
    def members(self) -> dict[str, int]: ...

    @property
    def odd(self) -> list[Unused]: ...

    def open(self, member: str) -> IO[bytes]:
        """Raises one of READ_ERRORS."""
        ...


def open_files(root: Path) -> Files:
    """The files of `root`. Raises SourceError if it is neither a folder nor a zip nor a tar."""
    try:
        if root.is_dir():
            return FolderFiles(root)
        if root.name.endswith(TAR_SUFFIXES):
            return TarFiles(root)
        return ZipFiles(root)
    except (OSError, zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise SourceError(f"{root} is neither a folder nor a readable zip file.") from error


def read_member(files: Files, member: str, *, max_bytes: int = -1) -> bytes:
    """Content of a member, cut after `max_bytes`. Raises UnusableError."""
    try:
        with files.open(member) as file:
            return file.read(max_bytes)
    except READ_ERRORS as error:
        raise UnusableError(f"cannot be read: {error}") from error


class FolderFiles:
    """A folder with all that is below it; links to folders are not followed: they may go round."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @cached_property
    def _found(self) -> tuple[dict[str, int], list[Unused]]:
        members: dict[str, int] = {}
        odd: list[Unused] = []
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            try:
                entries = list(os.scandir(self._root / folder))
            except OSError as error:
                odd.append((folder, f"the folder cannot be read: {error.strerror}"))
                continue
            if not entries and folder:
                odd.append((folder, "the folder is empty"))
            for entry in entries:
                name = folder + entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                elif entry.is_file():
                    members[name] = entry.stat().st_size
                else:
                    odd.append((name, "is a link to a folder or to nothing, or no file"))
        return members, odd

    @property
    def members(self) -> dict[str, int]:
        return self._found[0]

    @property
    def odd(self) -> list[Unused]:
        return self._found[1]

    def open(self, member: str) -> IO[bytes]:
        return (self._root / member).open("rb")


class ZipFiles:
    """A zip. Of a name that is there several times the last file counts, as for every unzip."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)

    @cached_property
    def members(self) -> dict[str, int]:
        return {info.filename: info.CRC for info in self._zip.infolist() if not info.is_dir()}

    @cached_property
    def odd(self) -> list[Unused]:
        counts = Counter(info.filename for info in self._zip.infolist())
        odd = [
            (name, f"is in the zip {count} times: the last one was taken")
            for name, count in counts.items()
            if count > 1 and not name.endswith("/")
        ]
        parents = {name[: at + 1] for name in counts for at, c in enumerate(name[:-1]) if c == "/"}
        empty = [name for name in counts if name.endswith("/") and name not in parents]
        return odd + [(name, "the folder is empty") for name in empty]

    def open(self, member: str) -> IO[bytes]:
        return self._zip.open(member)


class TarFiles:
    """A tar, which is slow to jump about in: for data sets of a few large files."""

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.open(path)  # noqa: SIM115 - stays open as long as this object

    @cached_property
    def members(self) -> dict[str, int]:
        return {info.name: info.size for info in self._tar if info.isfile()}

    @property
    def odd(self) -> list[Unused]:
        return []

    def open(self, member: str) -> IO[bytes]:
        file = self._tar.extractfile(member)
        if file is None:
            raise tarfile.TarError(f"{member} is no file")
        return file
