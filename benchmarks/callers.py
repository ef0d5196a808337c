"""Bar: 16 callers are answered 1.6 times as fast as one, and evenly: p99 below 5 times the p50.

    python -m benchmarks.callers [--rounds N] [--seconds N]

A real server with a worker for each core and 1,000 subjects is asked about photos of Labeled Faces
in the Wild (250 x 250), by one caller and by 16, each of which waits for its answer; they take
turns, and the medians of the rounds count, since the machine is shared. The callers are one thread
with prepared bytes: what they take of the same cores is printed. The last line is the figure; the
exit status is not 0 where a bar does not hold.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.lfw_people import DataMissingError
from benchmarks.load.record import GOOD, Load
from benchmarks.load.rounds import MORE_THROUGHPUT, P99_TO_P50, more_throughput, unevenness
from benchmarks.load.scene import Scene, scene
from benchmarks.server import ServerError
from contract.errors import OneGlanceError

ROUNDS = 5
SECONDS = 8.0
MANY = 16


@dataclass(frozen=True, slots=True)
class Round:
    """One caller, then many. core_share: of one core, that the callers took."""

    one: Load
    many: Load
    core_share: float


def measure(of: Scene, *, rounds: int, seconds: float) -> list[Round]:
    """One after the other."""
    found = []
    for number in range(rounds):
        core, clock = time.process_time(), time.perf_counter()
        one = of.callers.waiting_ones(1, seconds=seconds)
        many = of.callers.waiting_ones(MANY, seconds=seconds)
        share = (time.process_time() - core) / (time.perf_counter() - clock)
        print(f"round {number + 1}: 1 caller {one.described()}; {MANY} {many.described()}")
        found.append(Round(one, many, share))
    return found


def judged(rounds: Sequence[Round]) -> bool:
    """Says the figure; whether all bars hold."""
    gain = more_throughput((r.one, r.many) for r in rounds)
    spread = unevenness(r.many for r in rounds)
    refused = sum(len(r.one.asked) + len(r.many.asked) for r in rounds) - sum(
        r.one.statuses[GOOD] + r.many.statuses[GOOD] for r in rounds
    )
    core = max(r.core_share for r in rounds)
    print(f"the callers took {core:.1%} of a core at most; {refused} answers were no 200")
    print(
        f"{MANY} callers: {gain:.2f} times the photos of one (bar: {MORE_THROUGHPUT}), "
        f"p99 {spread:.1f} times p50 (bar: {P99_TO_P50:.0f})"
    )
    return gain >= MORE_THROUGHPUT and spread < P99_TO_P50 and refused == 0


def main(arguments: list[str] | None = None) -> int:
    """0 if both bars hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="default: %(default)s")
    args = parser.parse_args(arguments)
    try:
        with scene(workers=os.cpu_count() or 1) as of:
            rounds = measure(of, rounds=args.rounds, seconds=args.seconds)
    except (DataMissingError, OneGlanceError, ServerError) as error:
        print(f"callers: {error}", file=sys.stderr)
        return 2
    return 0 if judged(rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
