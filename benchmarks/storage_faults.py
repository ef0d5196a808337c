"""Storage that fails under a gallery, at every single call that can fail.

    python -m benchmarks.storage_faults

A row of calls is done again and again on copies of one gallery (benchmarks/fault_trials.py). Each
time another call to the storage fails, once or from then on: no room, read-only, or an I/O error
(benchmarks/faulty_vfs.py; for what Python itself does, benchmarks/os_calls.py). Each time:
- a call either returns and is durable, or raises GalleryFullError or GalleryUnavailableError in
  words that name the gallery, and has changed nothing;
- searches and look-ups go on meanwhile; after the fault, so do writes;
- index, truth and acknowledgements agree, before and after the gallery is opened anew.
Then the same on a disk that is really full, where this process may mount one.
The figure is the last line; the exit status is not 0 if anything failed.
"""

import argparse
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import index.memory_searcher
from benchmarks.fault_trials import (
    NAME,
    Faulted,
    Storage,
    Trial,
    opening_trial,
    prepared,
)
from benchmarks.faulty_python import ERRNOS, FaultyPython
from benchmarks.faulty_vfs import CODES, Fault, FaultyVfs
from benchmarks.full_disk import real_disk
from benchmarks.gallery_script import State

# What a fault may be beside its kind and its place.
ONCE: Final[dict[str, bool]] = {}
LASTING: Final = {"lasting": True}
HALF: Final = {"half": True}
# Reading is not what this is about: fewer places of it.
EVERY_READ: Final = 10
SITES_MAX: Final = 2_000


class Trials:
    """All trials, each on a fresh copy of a gallery."""

    def __init__(self, folder: Path, findings: Faulted) -> None:
        self._findings = findings
        self._copied = folder / "copy"
        self._original = folder / "original"
        self._original.mkdir()
        self._state = prepared(self._original)

    def run(self, every: int) -> None:
        """Every so many places of each row; 1 for all of them."""
        with FaultyVfs("faulty") as vfs:
            for kind, calls in CODES.items():
                for way in (ONCE, LASTING, HALF) if "write" in calls else (ONCE, LASTING):
                    self._kind(vfs, kind, way, every if "write" in calls else every * EVERY_READ)
        with FaultyPython(self._copied) as python:
            for kind, way in itertools.product(ERRNOS, (ONCE, LASTING)):
                self._kind(python, kind, way, 1)
        if self._findings.nameless:
            self._findings.faults.append(
                f"SQLite wrote {self._findings.nameless} times to temporary files elsewhere"
            )

    def _kind(self, storage: Storage, kind: str, way: dict[str, bool], every: int) -> None:
        what = ", ".join([type(storage).__name__, kind, *way])
        self._places(what, every, partial(self._calls, storage, kind, way))
        self._places(f"{what}, opening", every, partial(self._opening, storage, kind, way))
        making = partial(self._opening, storage, kind, way, new=True)
        self._places(f"{what}, making", every, making)

    def place(self, storage: Storage, kind: str, way: dict[str, bool], at: int) -> bool:
        """The row of calls with a fault at one place; whether it has come up."""
        return self._one(f"{kind}, place {at}", partial(self._calls, storage, kind, way), at)

    def _places(self, what: str, every: int, trial: Callable[[int], bool]) -> None:
        """One trial a place, until the fault does not come up any more."""
        for at in range(1, SITES_MAX, every):
            if not self._one(f"{what}, place {at}", trial, at):
                return
        self._findings.faults.append(f"{what}: there was no end to it")

    def _one(self, what: str, trial: Callable[[int], bool], at: int) -> bool:
        before, came = len(self._findings.faults), True
        try:
            came = trial(at)
        except Exception as error:  # noqa: BLE001 - whatever gets through is a finding
            self._findings.faults.append(f"{type(error).__name__}: {error}")
        new = self._findings.faults[before:]
        self._findings.faults[before:] = [f"{what}: {fault}" for fault in new]
        return came

    def _calls(self, storage: Storage, kind: str, way: dict[str, bool], at: int) -> bool:
        trial = Trial(*self._copy(), storage, self._findings)
        return trial.run(Fault(kind=kind, at=at, **way))

    def _opening(
        self, storage: Storage, kind: str, way: dict[str, bool], at: int, *, new: bool = False
    ) -> bool:
        fault = Fault(kind=kind, at=at, **way)
        return opening_trial(*self._copy(new=new), storage, fault, self._findings)

    def _copy(self, *, new: bool = False) -> tuple[Path, State]:
        shutil.rmtree(self._copied, ignore_errors=True)
        if new:
            # Its folder has to be made too.
            self._copied.mkdir()
            return self._copied / "new" / NAME, State()
        shutil.copytree(self._original, self._copied)
        return self._copied / NAME, self._state


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all; 0 if no fault did any harm."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--every", type=int, default=1, help="try every so many places (default: 1)"
    )
    options = parser.parse_args(arguments)
    findings = Faulted()
    index.memory_searcher.SNAPSHOT_FROM_ROWS = 1  # So that snapshots are part of it.
    start = time.perf_counter()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="oneglance-faults-", dir=memory if memory.is_dir() else None
    ) as folder:
        Trials(Path(folder), findings).run(options.every)
        print(real_disk(Path(folder), findings))
    for fault in findings.faults[:20]:
        print(f"FAULT {fault}", file=sys.stderr)
    print("made to fail: " + ", ".join(f"{n} {site}" for site, n in findings.sites.most_common()))
    print(
        f"{findings.uncertain} refused calls would be there after a kill right then: whether they "
        "are is open until the next write"
    )
    print(
        f"{findings.trials} faults in {time.perf_counter() - start:.0f} s: "
        f"{sum(findings.refused.values())} calls refused in words ({findings.refused}), "
        f"{findings.lost} acknowledged templates lost, {findings.returned} deleted returned, "
        f"{len(findings.faults)} faults"
    )
    return int(findings.bad())


if __name__ == "__main__":
    sys.exit(main())
