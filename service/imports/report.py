"""The report of an import: a file with a JSON line for each photo that is done with.

A line is on the disk before the next photo is begun, so a killed import goes on where it was.
"""

import fcntl
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from contract.errors import GalleryUnavailableError, ImportNotFoundError, OverloadedError
from index.folders import sync_names
from service.imports.line import ImportLine

_ID: Final = re.compile("[0-9a-f]{64}")
_BLOCK_BYTES: Final = 1 << 16


class Report:
    """A report that is being written, by one process at a time."""

    def __init__(self, folder: Path, import_id: str) -> None:
        """Open the report, or begin it. A line that a kill has torn is cut off.

        Raises OverloadedError (another process writes it) or GalleryUnavailableError.
        """
        self._path = folder / f"{import_id}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._claimed(import_id)
        except OSError as error:
            raise _unavailable(self._path, error) from error
        try:
            self.done: set[int] = set()
            self.outcomes: Counter[str] = Counter()
            self.reasons: Counter[str] = Counter()
            self._read()
            sync_names(folder)
        except OSError as error:
            self._file.close()
            raise _unavailable(self._path, error) from error
        except BaseException:
            self._file.close()
            raise

    def _claimed(self, import_id: str) -> FileIO:
        """The file, open and locked. Raises OSError or OverloadedError."""
        while True:
            # Who is on the photos concerns nobody but the service's owner.
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            # No buffer: what the disk refused must not be written later.
            file = FileIO(descriptor, "r+")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # One whose time was over may have been removed before it was locked.
                if _is_at(file, self._path):
                    return file
                file.close()
            except BlockingIOError as error:
                file.close()
                raise OverloadedError(f"Another process does the import {import_id}.") from error
            except BaseException:
                file.close()
                raise

    def _read(self) -> None:
        end = 0
        with self._path.open("rb") as lines:
            for text in lines:
                if not text.endswith(b"\n"):
                    break
                self._count(ImportLine.model_validate_json(text, extra="ignore"))
                end += len(text)
        self._file.truncate(end)

    def _count(self, line: ImportLine) -> None:
        self.done.add(line.index)
        self.outcomes[line.outcome] += 1
        self.reasons.update(line.reasons)

    def add(self, line: ImportLine) -> None:
        """Write a line, onto the disk. Raises GalleryUnavailableError."""
        # ASCII: a name of the zip may hold what UTF-8 cannot carry.
        rest = (json.dumps(line.model_dump(mode="json")) + "\n").encode("ascii")
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unavailable(self._path, error) from error
        self._count(line)

    def close(self) -> None:
        """Let the file go."""
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


def whole_lines(folder: Path, import_id: str) -> Iterator[bytes]:
    """The report so far, in blocks that end with a line. Raises ImportNotFoundError at once."""
    if not _ID.fullmatch(import_id):
        raise ImportNotFoundError(import_id)
    try:
        file = (folder / f"{import_id}.jsonl").open("rb")
    except FileNotFoundError as error:
        raise ImportNotFoundError(import_id) from error

    def blocks() -> Iterator[bytes]:
        with file:
            rest = b""
            while block := file.read(_BLOCK_BYTES):
                whole, newline, rest = (rest + block).rpartition(b"\n")
                if newline:
                    yield whole + newline

    return blocks()


def _is_at(file: FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _unavailable(path: Path, error: OSError) -> GalleryUnavailableError:
    return GalleryUnavailableError(
        f"The report {path} cannot be written ({error.strerror}): make room or see to the folder, "
        "then send the same import again."
    )
