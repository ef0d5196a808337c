"""One caller and many: the service over HTTP, as its users meet it."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.load.callers import Callers
from benchmarks.load.prepared import identify_request
from benchmarks.load.record import GOOD
from benchmarks.load.scene import address_of
from benchmarks.server import ServerError

WARM_S: Final = 2.0
SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How so many callers were answered."""

    callers: int
    photos_per_s: float
    p50_ms: float
    p99_ms: float


def load(url: str, photos: Sequence[Path], *, callers: int) -> Load:
    """They ask for some seconds, each as soon as it has its answer. Raises ServerError."""
    requests = [identify_request(photo.read_bytes()) for photo in photos]
    with closing(Callers(address_of(url), requests)) as everyone:
        everyone.waiting_ones(callers, seconds=WARM_S)
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
