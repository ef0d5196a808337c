"""Bar: an hour at 70 % of what it can do leaves the service as large as it was.

    python -m benchmarks.soak [--minutes N]

A real server with a worker for each core and 1,000 subjects is asked about photos of Labeled Faces
in the Wild by a stream of 70 % of its capacity, each request sent when it is due. Bars: the memory,
by its slope after the first sixth, grows by 10 MB at most, and all answers are 200, but for 2 %
that may be 503: a shared machine is slower for minutes, in which 70 % is more than it can do; these
minutes are printed. In an hour at 30 photos a second 10 MB are 100 bytes a request, less than
anything that one could leave behind; what allocators take and give back moves single readings by
more, the slope by less. The last line is the figure; the exit status is not 0 where a bar does not
hold.
"""

import argparse
import os
import sys
from collections import Counter
from typing import Final

from benchmarks.lfw_people import DataMissingError
from benchmarks.load.memory import MemoryWatch
from benchmarks.load.record import GOOD, OVERLOADED, Load
from benchmarks.load.scene import Scene, scene
from benchmarks.server import ServerError
from contract.errors import OneGlanceError

MINUTES: Final = 60.0
SHARE: Final = 0.7
CAPACITY_S: Final = 20.0
GROWTH_MB: Final = 10.0
REFUSED_SHARE: Final = 0.02


def measure(of: Scene, minutes: float) -> tuple[Load, MemoryWatch]:
    """What the stream was answered, and what it left."""
    capacity = of.callers.waiting_ones(2 * of.workers, seconds=CAPACITY_S)
    print(f"capacity: {capacity.described()}", flush=True)
    with MemoryWatch(of.server) as memory:
        stream = of.callers.stream(SHARE * capacity.rate, seconds=60 * minutes)
    return stream, memory


def judged(stream: Load, growth_mb: float) -> bool:
    """Says the figure; whether all bars hold."""
    refused = [one for one in stream.asked if one.status == OVERLOADED]
    others = {
        status: n for status, n in stream.statuses.items() if status not in {GOOD, OVERLOADED}
    }
    share = len(refused) / len(stream.asked)
    minutes = Counter(int(one.due_s // 60) for one in refused)
    print(f"refused by minute: {dict(sorted(minutes.items())) or 'none'}")
    print(f"neither 200 nor 503: {others or 'none'}")
    print(
        f"{len(stream.good)} photos in {stream.seconds / 60:.0f} minutes at {SHARE:.0%}: "
        f"{stream.described()}, {share:.1%} refused (bar: {REFUSED_SHARE:.0%}), "
        f"memory {growth_mb:+.1f} MB (bar: {GROWTH_MB:.0f})"
    )
    return not others and share <= REFUSED_SHARE and growth_mb <= GROWTH_MB


def main(arguments: list[str] | None = None) -> int:
    """0 if all bars hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="default: %(default)s")
    args = parser.parse_args(arguments)
    try:
        with scene(workers=os.cpu_count() or 1) as of:
            stream, memory = measure(of, args.minutes)
    except (DataMissingError, OneGlanceError, ServerError) as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2
    first, last = memory.megabytes[0], memory.megabytes[-1]
    print(f"resident at first {first:.0f} MB, at last {last:.0f}")
    return 0 if judged(stream, memory.growth_mb()) else 1


if __name__ == "__main__":
    sys.exit(main())
