"""Kill -9 under mixed writes, many times over one gallery; then the time of a restart.

    python -m benchmarks.kill_gallery --rounds 1000

A child enrols, removes, merges and re-embeds without pause, alone or from several threads, and
says each call and each acknowledgement. The parent kills it at a random moment, opens the gallery
again and compares it with every acknowledgement so far (benchmarks/gallery_check.py):
- what was acknowledged is in the file, byte for byte, and found by its own embedding with its id
  at similarity 1 within 1e-6; nothing acknowledged as removed is in a file or found;
- each call in flight is wholly done or wholly not; revision and search index agree with it.
The figure is the last line; the exit status is not 0 if anything failed.
"""

import argparse
import json
import os
import random
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import index.memory_searcher
from benchmarks.gallery_check import NEAR_ONE, Findings, compare, copies_left, opened
from benchmarks.gallery_script import Began, Call, Done, Ledger
from benchmarks.kill_gallery_child import THREADS, fill

LIFE_MAX_S: Final = 0.3
RESTART_TEMPLATES: Final = 10_000
RESTART_LIMIT_S: Final = 5.0
RESTARTS: Final = 3
_CHILD: Final = "benchmarks.kill_gallery_child"
_HANGS_S: Final = 60.0


@dataclass
class Killed(Findings):
    """What all restarts have shown."""

    kills: int = 0
    opening: int = 0  # killed before the gallery was open
    ledger: Ledger = field(default_factory=Ledger)
    next_number: int = 0


class Child:
    """The process that forks workers, and what they say."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", _CHILD, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._unread = b""
        assert self._next() == ["ready"]

    def run_and_kill(self, path: Path, number: int, threads: int, life_s: float) -> list[Any]:
        """Let a worker work for a while, kill it; all that it said, and last how it ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(path), number, threads]).encode() + b"\n")
        self._process.stdin.flush()
        word, worker = self._next()
        assert word == "born"
        said: list[Any] = []
        until = time.monotonic() + life_s
        while (line := self._line(until - time.monotonic())) is not None:
            said.append(line)
            if line[0] == "ended":
                return said
        os.kill(worker, signal.SIGKILL)
        while not said or said[-1][0] != "ended":
            said.append(self._next())
        return said

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(_HANGS_S)
        self._process.stdout.close()

    def _next(self) -> Any:
        line = self._line(_HANGS_S)
        if line is None:
            raise TimeoutError("The child says nothing any more.")
        return line

    def _line(self, wait_s: float) -> Any:
        """The next line, or None if there is none in time."""
        assert self._process.stdout is not None
        until = time.monotonic() + wait_s
        while b"\n" not in self._unread:
            left_s = max(0.0, until - time.monotonic())
            if not select.select([self._process.stdout], [], [], left_s)[0]:
                return None
            self._unread += os.read(self._process.stdout.fileno(), 1 << 16)
        line, self._unread = self._unread.split(b"\n", 1)
        return json.loads(line)


def book(said: list[Any], killed: Killed) -> None:
    """Enter what a worker said in the ledger."""
    words = [line[0] for line in said]
    killed.opening += "opened" not in words
    for word, *rest in said:
        if word == "began":
            call = Call(**rest[1])
            killed.next_number = max(killed.next_number, call.seed + 1)
            killed.ledger.read(Began(rest[0], call))
        elif word == "done":
            killed.ledger.read(Done(rest[0], tuple(rest[1:])))
        elif word == "failed" or (word == "ended" and rest != [-signal.SIGKILL]):
            killed.faults.append(f"the worker {word}: {rest}")


def kill_rounds(path: Path, rounds: int, choose: random.Random) -> Killed:
    """Kill that often, or until something is found wrong: after that, more would repeat it."""
    killed = Killed()
    child = Child()
    while killed.kills < rounds and not killed.bad():
        threads = choose.choice((1, 1, THREADS))
        # A thread's subjects are told by their number: see kill_gallery_child.
        number = -(-killed.next_number // THREADS) * THREADS
        said = child.run_and_kill(path, number, threads, choose.uniform(0, LIFE_MAX_S))
        killed.kills += 1
        book(said, killed)
        ledger = killed.ledger
        with opened(path) as gallery:
            in_flight = ledger.in_flight.values()
            ledger.state = compare(gallery, path, ledger.state, in_flight, killed)
            ledger.in_flight.clear()
        if copies := copies_left(path.parent, ledger.state):
            killed.faults.append(f"still there: {copies}")
        if killed.kills % 100 == 0:
            print(
                f"{killed.kills} kills, {ledger.acknowledged.total()} calls acknowledged, "
                f"{len(ledger.state.rows())} templates, {len(killed.faults)} faults",
                file=sys.stderr,
            )
    child.close()
    return killed


def measure_restarts(path: Path) -> tuple[float, float]:
    """Median seconds from Gallery.open to the first answer, and of the whole process."""
    fill(path, RESTART_TEMPLATES)
    inside, whole = [], []
    for _ in range(RESTARTS):
        start = time.perf_counter()
        command = [sys.executable, "-m", _CHILD, "restart", str(path)]
        said = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
        whole.append(time.perf_counter() - start)
        seconds, count, similarity = json.loads(said)
        assert count == RESTART_TEMPLATES
        assert abs(similarity - 1) <= NEAR_ONE
        inside.append(seconds)
    return statistics.median(inside), statistics.median(whole)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all; 0 if nothing was lost, returned or otherwise wrong, and restarts are fast."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=1000, help="kills (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="oneglance-kill-") as folder:
        place = Path(folder) / "killed"
        place.mkdir()
        seconds, process_s = measure_restarts(Path(folder) / "large.db")
        index.memory_searcher.SNAPSHOT_FROM_ROWS = 1  # So that snapshots are part of it.
        killed = kill_rounds(place / "gallery.db", options.rounds, random.Random(options.seed))
    for fault in killed.faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    acknowledged = killed.ledger.acknowledged
    kinds = ", ".join(f"{count} {kind}" for kind, count in acknowledged.most_common())
    print(
        f"{acknowledged.total()} calls acknowledged in {time.perf_counter() - start:.0f} s "
        f"({kinds}); in flight when killed: {killed.done} wholly done, {killed.undone} wholly not; "
        f"{killed.opening} times it was still opening"
    )
    print(f"restart as a whole process, Python and imports included: {process_s:.2f} s")
    others = f", {len(killed.faults)} faults" if killed.faults else ""
    print(
        f"{killed.kills} kills: {killed.lost} lost, {killed.returned} returned{others}; "
        f"restart with {RESTART_TEMPLATES:,} templates {seconds:.2f} s"
    )
    return int(killed.bad() or killed.kills < options.rounds or seconds >= RESTART_LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
