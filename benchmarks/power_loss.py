"""Power lost at hundreds of moments of a gallery's life: what a restart then finds.

    python -m benchmarks.power_loss --points 600

A gallery is worked on once per scene, with every change to its files in a journal
(benchmarks/lossy_vfs.py) and a mark where a call began and where it was acknowledged. For each
moment that is looked at the disk is made as a power loss would leave it, in each way of
benchmarks/lossy_disk.py, and the gallery is opened there:
- what was acknowledged is there, what was acknowledged as removed is not, calls in flight are
  done wholly or not at all; a search finds each template by itself, and no removed one;
- index and truth agree, one more write works, and no file has a copy of a removed embedding;
- all that whatever snapshot of the index lies there: of another moment, torn, or with a fault;
- the same if the power fails again while a restart is under way.
The figure is the last line; the exit status is not 0 if anything failed.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

import index.memory_searcher
from benchmarks.gallery_check import Findings, compare, copies_left, opened
from benchmarks.gallery_script import Ledger
from benchmarks.lossy_disk import POLICIES, Files, LossyDisk, write_out
from benchmarks.lossy_vfs import (
    Delete,
    Event,
    Mark,
    Recorder,
    RecordingVfs,
    Rename,
    Sync,
    SyncFolder,
)
from benchmarks.power_scenes import NAME, SCENES, recorded

# Every so many moments the power fails once more, during the restart.
AGAIN_EVERY: Final = 40
SNAPSHOT: Final = ".index-"  # in the names of such files


@dataclass
class Restarted(Findings):
    """What all restarts have shown."""

    restarts: int = 0
    moments: int = 0
    acknowledged: Counter[str] = field(default_factory=Counter)
    snapshots: int = 0


def moments(events: Sequence[Event], count: int, seed: int) -> set[int]:
    """Places in a journal: half of them beside what makes things safe or is acknowledged."""
    beside = {
        place + shift
        for place, event in enumerate(events, 1)
        if isinstance(event, Sync | SyncFolder | Delete | Mark)
        for shift in (-1, 0)
    }
    choose = random.Random(seed)
    chosen = set(choose.sample(sorted(beside), min(len(beside), count // 2)))
    left = sorted({*range(1, len(events) + 1)} - chosen)
    return chosen | set(choose.sample(left, min(len(left), count - len(chosen))))


class Restarts:
    """Opens what is left after each power loss and compares."""

    def __init__(self, root: Path, findings: Restarted) -> None:
        self._root = root
        self.findings = findings

    def all_of(self, events: Sequence[Event], root: Path, places: set[int]) -> None:
        """Restart at these places of a journal, in every way."""
        disk, ledger = LossyDisk(root), Ledger()
        snapshots: list[tuple[Path, bytes]] = []
        for place, event in enumerate(events, 1):
            disk.apply(event)
            if isinstance(event, Mark):
                ledger.read(event.said)
            elif isinstance(event, Rename) and SNAPSHOT in event.target.name:
                inside = event.target.relative_to(root.resolve())
                snapshots.append((inside, disk.content(event.file)))
            if place in places:
                self.findings.moments += 1
                again = self.findings.moments % AGAIN_EVERY == 0
                ways = _ways(disk, place)
                for files, policy in ways:
                    self.one(files, ledger, f"at {place}, {policy}", again=again)
                if snapshots:
                    files, planted = _with_snapshot(ways[0][0], snapshots, place)
                    self.one(files, ledger, f"at {place}, {planted}")
        self.findings.acknowledged += ledger.acknowledged
        self.findings.snapshots += len(snapshots)

    def one(self, files: Files, ledger: Ledger, where: str, *, again: bool = False) -> None:
        """Restart with these files."""
        self._lay_out(files)
        self.findings.restarts += 1
        before = len(self.findings.faults)
        try:
            self._check(self._root / NAME, ledger)
        except Exception as error:  # noqa: BLE001 - whatever stops a restart is a finding
            self.findings.faults.append(f"{type(error).__name__}: {error}")
        new = self.findings.faults[before:]
        self.findings.faults[before:] = [f"{where}: {fault}" for fault in new]
        if again and not new:
            self._again(files, ledger, where)

    def _lay_out(self, files: Files) -> None:
        shutil.rmtree(self._root, ignore_errors=True)
        self._root.mkdir()
        write_out(files, self._root)

    def _check(self, path: Path, ledger: Ledger) -> None:
        with opened(path) as gallery:
            in_flight = ledger.in_flight.values()
            state = compare(gallery, path, ledger.state, in_flight, self.findings)
            # And it goes on.
            rows = np.ones((1, gallery.contract.size), np.float32)
            more = gallery.enroll(rows, subject_id="after-the-restart")
            if more.revision != state.revision + 1:
                self.findings.faults.append(f"revision {more.revision} after {state.revision}")
            gallery.remove_subject("after-the-restart")
        if copies := copies_left(path.parent, state):
            self.findings.faults.append(f"still there: {copies}")

    def _again(self, files: Files, ledger: Ledger, where: str) -> None:
        """Record a restart with these files, and lose the power at all of its moments."""
        self._lay_out(files)
        recorder = Recorder(self._root)
        vfs = RecordingVfs("restarting", recorder)
        start = len(recorder.events)
        with recorder.watching(), opened(self._root / NAME, vfs.name):
            pass
        disk = LossyDisk(self._root)
        for place, event in enumerate(recorder.events, 1):
            disk.apply(event)
            if place > start:
                for left, policy in _ways(disk, place):
                    self.one(left, ledger, f"{where}, again at {place - start}, {policy}")


def _ways(disk: LossyDisk, seed: int) -> list[tuple[Files, str]]:
    """The different things that a power loss may leave now."""
    ways: list[tuple[Files, str]] = []
    for policy in POLICIES:
        files = disk.after_power_loss(policy, seed)
        if all(files != there for there, _ in ways):
            ways.append((files, policy))
    return ways


def _with_snapshot(
    files: Files, snapshots: Sequence[tuple[Path, bytes]], seed: int
) -> tuple[Files, str]:
    """The files with an index snapshot that does not belong there, or is not whole."""
    choose = random.Random(seed)
    path, content = choose.choice(snapshots)
    what = choose.choice(("an old snapshot", "a torn snapshot", "a snapshot with a wrong byte"))
    if "torn" in what:
        content = content[: choose.randrange(len(content))]
    elif "byte" in what:
        at = choose.randrange(len(content))
        content = content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]
    parents = {parent: None for parent in path.parents if parent != Path()}
    return {**parents, **files, path: content}, what


def run(points: int, seed: int, pragmas: str = "") -> Restarted:
    """Record all scenes and restart at so many moments."""
    findings = Restarted()
    index.memory_searcher.SNAPSHOT_FROM_ROWS = 1  # So that snapshots are part of it.
    # The simulation decides what is safe: a memory file system is as good as a disk, and faster.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="oneglance-power-", dir=memory if memory.is_dir() else None
    ) as folder:
        for scene in SCENES:
            root = Path(folder) / scene.__name__
            root.mkdir()
            recorder = recorded(scene, root, seed, pragmas)
            places = moments(recorder.events, points // len(SCENES), seed)
            Restarts(Path(folder) / "restart", findings).all_of(recorder.events, root, places)
    return findings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all; 0 if no restart found anything but what was acknowledged."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--points", type=int, default=600, help="moments (default: 600)")
    parser.add_argument("--seed", type=int, default=0, help="of everything (default: 0)")
    parser.add_argument(
        "--pragmas", default="", help="for the writer; with 'PRAGMA synchronous=off' it must fail"
    )
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    findings = run(options.points, options.seed, options.pragmas)
    for fault in findings.faults[:20]:
        print(f"FAULT {fault}", file=sys.stderr)
    print(
        f"{sum(findings.acknowledged.values())} calls acknowledged, {findings.snapshots} index "
        f"snapshots, {findings.restarts} restarts in {time.perf_counter() - start:.0f} s; calls "
        f"in flight: {findings.done} wholly done, {findings.undone} wholly not"
    )
    print(
        f"power lost at {findings.moments} moments: {findings.lost} acknowledged templates lost, "
        f"{findings.returned} deleted returned, {len(findings.faults)} faults"
    )
    return int(findings.bad())


if __name__ == "__main__":
    sys.exit(main())
