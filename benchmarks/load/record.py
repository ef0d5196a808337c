"""What was asked and answered."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

# In place of a status: the connection was refused, or broke off before the answer's end.
NO_ANSWER: Final = 0
GOOD: Final = 200
OVERLOADED: Final = 503


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. due_s: when it was to be sent, seconds since the start. ms: from then on.

    retry_after: whether the answer said when to come again.
    """

    status: int
    due_s: float
    ms: float
    retry_after: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How so many were answered in so many seconds."""

    asked: Sequence[Asked]
    seconds: float

    @property
    def statuses(self) -> Counter[int]:
        """How often each status came."""
        return Counter(one.status for one in self.asked)

    @property
    def good(self) -> list[Asked]:
        """Those that were answered as asked for."""
        return [one for one in self.asked if one.status == GOOD]

    @property
    def rate(self) -> float:
        """Good answers a second, of those that came in that time: who asked last was waited for."""
        came = [one for one in self.good if one.due_s + one.ms / 1_000 <= self.seconds]
        return len(came) / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """Of the good answers; nan without one."""
        return percentile_ms(self.good, percent)

    def described(self) -> str:
        """In a line."""
        p50, p99 = self.percentile_ms(50), self.percentile_ms(99)
        return f"{self.rate:.1f} photos/s, p50 {p50:.1f}, p99 {p99:.1f} ms"


def percentile_ms(asked: Iterable[Asked], percent: float) -> float:
    """nan without one."""
    ms = [one.ms for one in asked]
    return float(np.percentile(ms, percent)) if ms else float("nan")
