"""One caller and many: the service over HTTP, as its users meet it."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from benchmarks.load.callers import Callers
from benchmarks.load.prepared import identify_request
from benchmarks.load.record import GOOD, Load
from benchmarks.load.scene import address_of
from benchmarks.server import ServerError

WARM_S: Final = 2.0
SECONDS: Final = 6.0
ROUNDS: Final = 5


def loads(url: str, photos: Sequence[Path], *, callers: Sequence[int]) -> list[tuple[Load, ...]]:
    """Rounds, in which each number of callers asks for some seconds, each caller as soon as it has
    its answer: a load for each number. Raises ServerError.
    """
    requests = [identify_request(photo.read_bytes()) for photo in photos]
    with closing(Callers(address_of(url), requests)) as everyone:
        everyone.waiting_ones(max(callers), seconds=WARM_S)
        return [tuple(_load(everyone, count) for count in callers) for _ in range(ROUNDS)]


def _load(everyone: Callers, callers: int) -> Load:
    found = everyone.waiting_ones(callers, seconds=SECONDS)
    others = {status: n for status, n in found.statuses.items() if status != GOOD}
    if others:
        raise ServerError(f"{callers} callers had other answers than 200: {others}")
    return found
