"""How many requests may wait: many for a moment, few for long.

A burst is over when it has been worked off, so it may wait in a long line. Where more comes than
can be done, no line ever ends: a long one makes everybody wait, and as many are refused. So from a
refusal until none was needed for CALM_S, only so few wait as keep the workers busy.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from contract.errors import OverloadedError

# Whoever was refused is asked to come again in a second (Retry-After): longer than that.
CALM_S: Final = 2.0


class Admission:
    """Places of those that are worked on and of those that wait. Any thread may call."""

    def __init__(
        self,
        *,
        working: int,
        waiting: int,
        waiting_in_overload: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._working, self._waiting = working, waiting
        self._waiting_in_overload = min(waiting, waiting_in_overload)
        self._clock = clock
        self._lock = threading.Lock()
        self._inside = 0
        self._calm_at = clock()

    def check(self) -> None:
        """Raises OverloadedError where enter() would."""
        with self._lock:
            self._check()

    def enter(self) -> None:
        """Take a place. Raises OverloadedError where there is none."""
        with self._lock:
            self._check()
            self._inside += 1

    def leave(self) -> None:
        """Give a place back."""
        with self._lock:
            self._inside -= 1

    def load(self) -> tuple[int, int]:
        """How many are worked on, and how many wait for that."""
        inside = self._inside
        return min(inside, self._working), max(inside - self._working, 0)

    def _check(self) -> None:
        now = self._clock()
        waiting = self._waiting if now >= self._calm_at else self._waiting_in_overload
        if self._inside >= self._working + waiting:
            self._calm_at = now + CALM_S
            raise OverloadedError("All places in the queue are taken: try again in a second.")
