"""The reports of all imports: kept for some days, since they name people, then removed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from service.imports.report import Report, whole_lines
from service.kept_files import KeptFiles

# What Report calls its files; nothing else of the folder is touched.
_PATTERN: Final = "[0-9a-f]" * 64 + ".jsonl"


class Reports:
    """The reports in `folder`, each removed when nothing was written to it for `keep_s` seconds.

    One that an import is writing stays. Any thread may call anything. Several processes may share
    the folder.
    """

    def __init__(self, folder: Path, *, keep_s: float) -> None:
        self._folder = folder
        self._kept = KeptFiles(folder, _PATTERN, keep_s=keep_s)

    def open(self, import_id: str) -> Report:
        """A report to be gone on with, or begun. Raises what Report raises."""
        self._kept.sweep()
        return Report(self._folder, import_id)

    def lines(self, import_id: str) -> Iterator[bytes]:
        """The report so far, in blocks that end with a line.

        Raises ImportNotFoundError at once: it was never begun, or its time is over.
        """
        self._kept.sweep()
        return whole_lines(self._folder, import_id)

    def close(self) -> None:
        """End the removals; reports stay for their time."""
        self._kept.close()
