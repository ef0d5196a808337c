"""Few callers and many who take turns: a shared machine changes its speed from minute to minute, so
that what counts is the median of what they got in the same round.
"""

from collections.abc import Iterable
from statistics import median
from typing import Final

from benchmarks.load.record import Load

# Bars of 16 callers: so many times the photos of one, and a p99 below so many times the p50.
MORE_THROUGHPUT: Final = 1.6
P99_TO_P50: Final = 5.0


def more_throughput(rounds: Iterable[tuple[Load, Load]]) -> float:
    """How many times the photos of the few (first) the many got."""
    return median(many.rate / few.rate for few, many in rounds)


def unevenness(rounds: Iterable[Load]) -> float:
    """p99 by p50 of the many."""
    return median(many.percentile_ms(99) / many.percentile_ms(50) for many in rounds)
