"""The report of an enrolled folder: a line for each photo, and what a later run knows from it."""

import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from contract.errors import OneGlanceError


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoReport:
    """What came of one photo. photo: from the folder on, such as `ada/1.jpg`.

    status: accepted is what a dry run would enrol. reasons: machine words, of one not taken.
    """

    photo: str
    subject: str
    status: Literal["enrolled", "accepted", "rejected"]
    subject_id: str | None = None
    template_id: str | None = None
    reasons: tuple[str, ...] = ()
    detail: str | None = None
    warnings: tuple[str, ...] = ()


class Report:
    """Lines of JSON, of the owner's eyes only; the first names the run and what it is about.

    run: the same in all runs on one report, so that a request that was sent but not reported can
    be told to be the same. done: status of each photo that is reported.
    """

    def __init__(self, path: Path | None, about: dict[str, Any]) -> None:
        """Open the report, or none. about: what all photos have in common.

        Raises OneGlanceError: the file is not such a report, or one about something else.
        """
        self.run = uuid.uuid4().hex
        self.done: dict[str, str] = {}
        self._descriptor = -1
        if path is None:
            return
        lines, whole_bytes = _read(path)
        if lines:
            self._continue(path, lines, about)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        # A line that a kill has torn is written anew.
        os.ftruncate(self._descriptor, whole_bytes)
        if not lines:
            self._write([{"run": self.run, "about": about}])

    def _continue(self, path: Path, lines: list[dict[str, Any]], about: dict[str, Any]) -> None:
        head = lines[0]
        if not isinstance(head.get("run"), str) or "about" not in head:
            raise OneGlanceError(f"{path} is not a report of an enrolment: name another file.")
        if head["about"] != about:
            raise OneGlanceError(
                f"{path} is the report of another folder or collection: name another file."
            )
        self.run = head["run"]
        self.done = {str(line.get("photo")): str(line.get("status")) for line in lines[1:]}

    def add(self, photos: Sequence[PhotoReport]) -> None:
        """Report the photos of one request, in one write."""
        if self._descriptor >= 0:
            self._write([asdict(photo) for photo in photos])

    def _write(self, lines: Sequence[dict[str, Any]]) -> None:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        left = text.encode(errors="surrogateescape")
        while left:
            left = left[os.write(self._descriptor, left) :]

    def close(self) -> None:
        """Let the file go."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The whole lines of a file, which may be absent, and how many bytes they are."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    whole = data[: data.rfind(b"\n") + 1]
    try:
        lines = [json.loads(line) for line in whole.splitlines()]
    except ValueError:
        lines = [None]
    # Without one whole line it is another file, unless nothing but a first line was begun.
    strange = data and not whole and not data.startswith(b'{"run"')
    if strange or not all(isinstance(line, dict) for line in lines):
        raise OneGlanceError(f"{path} is not a report of an enrolment: name another file.")
    return lines, len(whole)
