"""Damaged and malicious image files: nothing crashes, hangs, leaks or is answered by a 5xx.

    python -m benchmarks.fuzz_images [--files 100000] [--first 0] [--sent 400]

First the bombs (benchmarks/image_bombs.py), each in a process of its own: refused in 50 ms of the
processor and 50 MB. Then --files damaged files from number --first on, in processes that are
watched: none ends, no error but ours, no file over 2 s of the processor, no process that grows by
300 MB. Then --sent of them and the bombs to a real server: no 5xx, and it goes on.

A file is made by its number alone: `Mutants().make(number)` of benchmarks/image_mutations.py. The
figure is the last line; the exit status is not 0 if a bar is missed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from benchmarks.image_bombs import bombs, loaded
from benchmarks.image_mutations import Mutants
from benchmarks.measured_child import cost_of
from benchmarks.server import serving
from contract.errors import ImageError
from contract.images import DEFAULT_LIMITS
from service.photo import Photo

BOMB_S: Final = 0.05
BOMB_MB: Final = 50.0
GROWTH_MB: Final = 300.0
# Of one process, before another goes on.
_PIECE: Final = 10_000
# A file takes milliseconds: who does not move for so long never will, however busy the machine is.
_STUCK_S: Final = 60.0


@dataclass
class Found:
    """Of all processes. growth_mb: of the one that grew most."""

    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, 0)
    growth_mb: float = 0.0

    def add(self, line: str) -> None:
        """What a process said in the end."""
        said = json.loads(line)
        self.outcomes.update(said["outcomes"])
        self.wrong += said["shown"]
        if said["wrong"] > len(said["shown"]):
            self.wrong.append(f"and {said['wrong'] - len(said['shown'])} more of that process")
        self.slowest = max(self.slowest, (said["slowest_s"], said["slowest"]))
        self.growth_mb = max(self.growth_mb, said["growth_mb"])


def throw_bombs() -> list[str]:
    """Each in a process of its own; what went wrong."""
    wrong = []
    for name, data in bombs().items():
        wrong += _thrown(name, data, must_be_refused=True)
    for name, data in loaded().items():
        wrong += _thrown(name, data, must_be_refused=False)
    return wrong


def _thrown(name: str, data: bytes, *, must_be_refused: bool) -> list[str]:
    def work() -> str:
        try:
            Photo(data, DEFAULT_LIMITS, searched_px=1_024)
        except ImageError as error:
            return type(error).__name__
        return "decoded"

    try:
        cost = cost_of(work)
    except ChildProcessError as error:
        return [f"{name}: {error}"]
    held = (
        cost.cpu_s < BOMB_S
        and cost.growth_mb < BOMB_MB
        and (cost.outcome != "decoded") == must_be_refused
    )
    print(
        f"{'ok  ' if held else 'FAIL'} {name:<50} {cost.outcome:<18} {cost.cpu_s * 1e3:6.1f} ms "
        f"{cost.growth_mb:+6.1f} MB"
    )
    return [] if held else [f"{name}: over the bar"]


def fuzz(first: int, count: int, folder: Path) -> Found:
    """Damaged files from `first` on, in watched processes."""
    found, number, end = Found(), first, first + count
    while number < end:
        stop = min(number + _PIECE, end)
        ended_at = _watched(number, stop, folder, found)
        number = stop if ended_at is None else ended_at + 1
        print(
            f"{number - first} of {count}, {len(found.wrong)} wrong, "
            f"+{found.growth_mb:.0f} MB, {found.slowest[0]:.2f} s",
            file=sys.stderr,
        )
    return found


def _watched(first: int, end: int, folder: Path, found: Found) -> int | None:
    """One process; the number of the file that ended it, None if none did."""
    place, words = folder / "place", folder / "words"
    place.write_bytes(first.to_bytes(8, "little"))
    command = [sys.executable, "-m", "benchmarks.fuzz_images_child", str(first), str(end)]
    with words.open("w+", encoding="utf-8") as said:
        process = subprocess.Popen([*command, str(place)], stdout=said)
        before, since = place.read_bytes(), time.monotonic()
        while True:
            try:
                status = process.wait(0.5)
                break
            except subprocess.TimeoutExpired:
                now = place.read_bytes()
                if now != before:
                    before, since = now, time.monotonic()
                elif time.monotonic() - since > _STUCK_S:
                    process.kill()
    if status == 0:
        found.add(words.read_text(encoding="utf-8"))
        return None
    number = int.from_bytes(place.read_bytes(), "little")
    found.wrong.append(f"file {number}: ended the process ({status})")
    return number


def send(first: int, count: int, folder: Path) -> list[str]:
    """Damaged files and bombs to a real server; what went wrong."""
    mutants, statuses, wrong = Mutants(), Counter[int](), []
    files: list[tuple[str, Callable[[], bytes]]] = [
        (f"file {number}", lambda number=number: mutants.make(number)[1])  # type: ignore[misc]
        for number in range(first, first + count)
    ]
    files += [(name, lambda data=data: data) for name, data in bombs().items()]  # type: ignore[misc]
    with (
        serving(folder / "gallery.sqlite3", folder / "server.log") as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        for name, made in files:
            answer = client.post("/v1/detect", files={"image": ("photo", made())})
            statuses[answer.status_code] += 1
            if answer.status_code >= 500:
                wrong.append(f"{name} is answered {answer.status_code} over HTTP")
        if client.get("/healthz").status_code != 200:
            wrong.append("the server does not answer any more")
    print(f"over HTTP: {dict(sorted(statuses.items()))}")
    return wrong


def main() -> int:
    """0 if every bar held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--files", type=int, default=100_000, help="damaged files (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (%(default)s)")
    parser.add_argument(
        "--sent", type=int, default=400, help="of them over HTTP, 0 for no server (%(default)s)"
    )
    args = parser.parse_args()
    wrong = throw_bombs()
    with tempfile.TemporaryDirectory(prefix="oneglance-fuzz-") as name:
        found = fuzz(args.first, args.files, Path(name))
        wrong += found.wrong
        if found.growth_mb >= GROWTH_MB:
            wrong.append(f"a process grew by {found.growth_mb:.0f} MB")
        if args.sent:
            wrong += send(args.first, args.sent, Path(name))
    for outcome, times in found.outcomes.most_common():
        print(f"{times:8d} {outcome}")
    for words in wrong:
        print(f"WRONG {words}")
    slowest_s, slowest = found.slowest
    print(
        f"{sum(found.outcomes.values())} damaged files and {len(bombs()) + len(loaded())} bombs: "
        f"{len(wrong)} wrong, slowest {slowest_s:.2f} s (file {slowest}), "
        f"+{found.growth_mb:.0f} MB at most"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
