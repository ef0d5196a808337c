"""One way to answer a request, in a process of its own: see child_loop.py."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent
# Of every library that any of them computes with.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class ContenderError(Exception):
    """It is not installed, or its process ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Milliseconds by the clock and of the core; names of the faces, None for who is unknown."""

    ms: float
    core_ms: float
    names: tuple[str | None, ...]


class Contender:
    """A child that computes on one thread."""

    def __init__(self, name: str, python: Path, child: str, *arguments: str) -> None:
        """Raises ContenderError."""
        if not python.exists():
            raise ContenderError(f"There is no {python}: run make bench-request.")
        self.name = name
        self._process = subprocess.Popen(
            [str(python), str(HERE / child), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ONE_THREAD},
        )

    def enroll(self, people: Mapping[str, Path]) -> None:
        """One photo each. Raises ContenderError."""
        self._call("enroll", people={name: str(path) for name, path in people.items()})

    def identify(self, photos: Sequence[Path], *, everybody: bool) -> list[Answer]:
        """The largest face of each photo, or all. Raises ContenderError."""
        found = self._call("identify", paths=[str(p) for p in photos], everybody=everybody)
        return [
            Answer(ms=one["ms"], core_ms=one["core_ms"], names=tuple(one["names"])) for one in found
        ]

    def embed(self, photos: Sequence[Path]) -> list[list[float] | None]:
        """Of the largest face of each photo; None without one. Raises ContenderError."""
        found: list[list[float] | None] = self._call("embed", paths=[str(p) for p in photos])
        return found

    def memory_mb(self, *, reset: bool) -> tuple[float, float]:
        """Resident now, and at the peak since the last reset. Raises ContenderError."""
        found = self._call("memory", reset=reset)
        return found["now_mb"], found["peak_mb"]

    def _call(self, do: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, "arguments": arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ContenderError(f"The process of {self.name} ended: its words are above.")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=30)
