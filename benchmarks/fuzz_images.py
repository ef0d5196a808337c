"""Damaged and malicious image files: nothing crashes, hangs, leaks or is answered by a 5xx.

    python -m benchmarks.fuzz_images [--record FILE] [--files 100000] [--first 0] [--workers 2]

First the bombs (benchmarks/image_bombs.py), each in a process of its own: refused in 50 ms of the
processor and 50 MB. Then --files damaged files from number --first on, in --workers processes that
are watched: none ends, no error but ours, no file over 2 s of the processor, no process that grows
by 300 MB. Then --sent of them and the bombs to a real server: no 5xx, and it goes on.

With --record what was found so far is kept, every 500 files: the same command goes on after a stop,
and parts (--first, --files) add up. The verdict is on all that is in it, and refused where code or
libraries have changed since. A file is made by its number alone: `Mutants().make(number)` of
benchmarks/image_mutations.py. The figure is the last line; the exit status is not 0 if a bar is
missed.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx

from benchmarks.fuzz_record import FuzzRecord, OtherCodeError
from benchmarks.fuzz_watch import fuzz
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
        "--workers", type=int, default=os.cpu_count() or 1, help="processes (%(default)s)"
    )
    parser.add_argument("--record", type=Path, help="file of what was found, to go on from")
    parser.add_argument(
        "--sent", type=int, default=400, help="of them over HTTP, 0 for no server (%(default)s)"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="oneglance-fuzz-") as name:
        folder = Path(name)
        try:
            record = FuzzRecord(args.record or folder / "record")
        except OtherCodeError as error:
            print(f"fuzz_images: {error}", file=sys.stderr)
            return 2
        wrong = throw_bombs()
        fuzz(
            record,
            range(args.first, args.first + args.files),
            workers=args.workers,
            folder=folder,
        )
        if args.sent:
            wrong += send(args.first, args.sent, folder)
    wrong += record.wrong
    if record.growth_mb >= GROWTH_MB:
        wrong.append(f"a process grew by {record.growth_mb:.0f} MB")
    for outcome, times in record.outcomes.most_common():
        print(f"{times:8d} {outcome}")
    for words in wrong:
        print(f"WRONG {words}")
    slowest_s, slowest = record.slowest
    print(
        f"{record.files} damaged files and {len(bombs()) + len(loaded())} bombs: "
        f"{len(wrong)} wrong, slowest {slowest_s:.2f} s (file {slowest}), "
        f"+{record.growth_mb:.0f} MB at most"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
