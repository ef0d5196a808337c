"""What a server keeps of the memory while it is asked."""

import threading
import time
from types import TracebackType
from typing import Final, Self

import numpy as np

from benchmarks.server import Server

EVERY_S: Final = 1.0
# Until then caches fill, and allocators take what they will keep.
WARMING_SHARE: Final = 1 / 6


class MemoryWatch:
    """Looks at a server's resident memory each second while the block runs."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.seconds: list[float] = []
        self.megabytes: list[float] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        start = time.monotonic()
        while not self._done.wait(EVERY_S):
            self.seconds.append(time.monotonic() - start)
            self.megabytes.append(self._server.resident_kb() / 1024)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def growth_mb(self) -> float:
        """By the slope, from the end of the warming to the end."""
        begin = int(len(self.seconds) * WARMING_SHARE)
        seconds, megabytes = self.seconds[begin:], self.megabytes[begin:]
        return slope(seconds, megabytes) * (seconds[-1] - seconds[0])


def slope(x: list[float], y: list[float], *, most: int = 500) -> float:
    """The median of the slopes between all pairs (Theil and Sen), which no single peak moves.

    most: so many points at equal distances stand for all.
    """
    chosen = np.unique(np.linspace(0, len(x) - 1, min(most, len(x))).round().astype(int))
    xs, ys = np.array(x)[chosen], np.array(y)[chosen]
    first, second = np.triu_indices(len(xs), k=1)
    return float(np.median((ys[second] - ys[first]) / (xs[second] - xs[first])))
