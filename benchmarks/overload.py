"""Bar: under five times what it can do, a service refuses in words and stays quick for the others.

    python -m benchmarks.overload [--minutes N]

A real server with a worker for each core and 1,000 subjects is asked about photos of Labeled Faces
in the Wild: by one caller (unloaded), by two for each worker (its capacity), and then by a stream
of five times that, each request sent when it is due, for 10 minutes; then by one caller again. The
stream comes from the same machine and takes its share of it, which is printed. Bars:
- each answer is 200, or 429 or 503 with Retry-After; no connection is refused or breaks off;
- p99 of the 200s, from when they were due, is below twice that of the one caller, before and after;
- the memory grows by 10 MB at most after the first sixth, by the slope.
The last line is the figure; the exit status is not 0 where a bar does not hold.
"""

import argparse
import os
import sys
import time
from dataclasses import dataclass
from typing import Final

from benchmarks.lfw_people import DataMissingError
from benchmarks.load.memory import MemoryWatch
from benchmarks.load.record import GOOD, Load, percentile_ms
from benchmarks.load.scene import Scene, scene
from benchmarks.server import ServerError
from contract.errors import OneGlanceError

MINUTES: Final = 10.0
TIMES: Final = 5.0
UNLOADED_S: Final = 30.0
CAPACITY_S: Final = 15.0
# After the stream, until the service takes a whole line again.
CALM_S: Final = 3.0
REFUSED: Final = {429, 503}
P99_TIMES: Final = 2.0
GROWTH_MB: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """before, after: of one caller. core_share: of one core, that the stream took to send."""

    before: Load
    after: Load
    capacity: Load
    stream: Load
    growth_mb: float
    core_share: float

    @property
    def unloaded_p99_ms(self) -> float:
        """Of one caller's answers, before and after."""
        return percentile_ms([*self.before.good, *self.after.good], 99)


def measure(of: Scene, minutes: float) -> Outcome:
    """One after the other."""
    before = of.callers.waiting_ones(1, seconds=UNLOADED_S)
    print(f"unloaded: {before.described()}", flush=True)
    capacity = of.callers.waiting_ones(2 * of.workers, seconds=CAPACITY_S)
    print(f"capacity: {capacity.described()}", flush=True)
    core, clock = time.process_time(), time.perf_counter()
    with MemoryWatch(of.server) as memory:
        stream = of.callers.stream(TIMES * capacity.rate, seconds=60 * minutes)
    share = (time.process_time() - core) / (time.perf_counter() - clock)
    time.sleep(CALM_S)
    after = of.callers.waiting_ones(1, seconds=UNLOADED_S)
    print(f"unloaded again: {after.described()}")
    return Outcome(
        before=before,
        after=after,
        capacity=capacity,
        stream=stream,
        growth_mb=memory.growth_mb(),
        core_share=share,
    )


def missed(outcome: Outcome) -> list[str]:
    """Bars that do not hold, in words."""
    found = []
    wrong = {s: n for s, n in outcome.stream.statuses.items() if s not in {GOOD, *REFUSED}}
    if wrong:
        found.append(f"other answers than 200, 429 and 503 (0 for none): {wrong}")
    silent = [a for a in outcome.stream.asked if a.status in REFUSED and not a.retry_after]
    if silent:
        found.append(f"{len(silent)} refusals without Retry-After")
    p99, unloaded = outcome.stream.percentile_ms(99), outcome.unloaded_p99_ms
    if not p99 < P99_TIMES * unloaded:
        found.append(f"p99 of {p99:.0f} ms, unloaded {unloaded:.0f}")
    if outcome.growth_mb > GROWTH_MB:
        found.append(f"the memory grew by {outcome.growth_mb:.1f} MB")
    return found


def figure(outcome: Outcome) -> str:
    """In a line."""
    p99, unloaded = outcome.stream.percentile_ms(99), outcome.unloaded_p99_ms
    return (
        f"{TIMES:.0f} times the capacity of {outcome.capacity.rate:.1f}/s: "
        f"{outcome.stream.described()}, {p99 / unloaded:.2f} times the unloaded p99 of "
        f"{unloaded:.1f} ms (bar: {P99_TIMES:.0f}), memory {outcome.growth_mb:+.1f} MB "
        f"(bar: {GROWTH_MB:.0f})"
    )


def main(arguments: list[str] | None = None) -> int:
    """0 if all bars hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="default: %(default)s")
    args = parser.parse_args(arguments)
    try:
        with scene(workers=os.cpu_count() or 1) as of:
            outcome = measure(of, args.minutes)
    except (DataMissingError, OneGlanceError, ServerError) as error:
        print(f"overload: {error}", file=sys.stderr)
        return 2
    print(f"answers by status: {dict(outcome.stream.statuses)}")
    refused_ms = percentile_ms([a for a in outcome.stream.asked if a.status in REFUSED], 99)
    print(f"p99 of refusals {refused_ms:.1f} ms; to send took {outcome.core_share:.0%} of a core")
    wrong = missed(outcome)
    print(*(f"MISSED {one}" for one in wrong), figure(outcome), sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
