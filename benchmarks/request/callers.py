"""One caller and many: the service over HTTP, as its users meet it."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.load.callers import Callers
from benchmarks.load.prepared import identify_request
from benchmarks.load.record import GOOD
from benchmarks.load.scene import address_of
from benchmarks.server import ServerError

WARM_S: Final = 2.0
SECONDS: Final = 6.0
ROUNDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How so many callers were answered."""

    callers: int
    photos_per_s: float
    p50_ms: float
    p99_ms: float


# By the number of callers, the fewest first.
Round = tuple[Load, ...]


def loads(url: str, photos: Sequence[Path], *, callers: Sequence[int]) -> list[Round]:
    """Each number of callers asks for some seconds, each caller as soon as it has its answer; the
    numbers take turns, since a shared machine changes its speed. Raises ServerError.
    """
    requests = [identify_request(photo.read_bytes()) for photo in photos]
    with closing(Callers(address_of(url), requests)) as everyone:
        everyone.waiting_ones(max(callers), seconds=WARM_S)
        return [tuple(_load(everyone, count) for count in callers) for _ in range(ROUNDS)]


def medians(rounds: Sequence[Round]) -> Round:
    """Of each figure of each number of callers."""
    return tuple(
        Load(
            callers=same[0].callers,
            photos_per_s=median(one.photos_per_s for one in same),
            p50_ms=median(one.p50_ms for one in same),
            p99_ms=median(one.p99_ms for one in same),
        )
        for same in zip(*rounds, strict=True)
    )


def more_throughput(rounds: Sequence[Round]) -> float:
    """Photos of the most callers by those of the fewest in the same round: the median."""
    return median(one[-1].photos_per_s / one[0].photos_per_s for one in rounds)


def unevenness(rounds: Sequence[Round]) -> float:
    """p99 by p50 of the most callers in the same round: the median."""
    return median(one[-1].p99_ms / one[-1].p50_ms for one in rounds)


def _load(everyone: Callers, callers: int) -> Load:
    found = everyone.waiting_ones(callers, seconds=SECONDS)
    others = {status: n for status, n in found.statuses.items() if status != GOOD}
    if others:
        raise ServerError(f"{callers} callers had other answers than 200: {others}")
    return Load(
        callers=callers,
        photos_per_s=found.rate,
        p50_ms=found.percentile_ms(50),
        p99_ms=found.percentile_ms(99),
    )
