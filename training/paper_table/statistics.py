"""Means over seeds, and differences of two rows with their interval."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

# Student's t, 97.5 %, for 1, 2, … degrees of freedom (Abramowitz and Stegun, table 26.10).
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)

Verdict = Literal["yes", "no, it is worse", "not decided", "not run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """sd: of single runs, None of one run."""

    mean: float
    sd: float | None
    n: int


def mean_of(values: Sequence[float]) -> Mean | None:
    """None of no values."""
    if not values:
        return None
    sd = stdev(values) if len(values) > 1 else None
    return Mean(mean=fmean(values), sd=sd, n=len(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """better - worse, paired by seed. half_width: of the 95 % interval of the mean, None with fewer
    than two pairs.
    """

    mean: float
    half_width: float | None
    n: int

    @property
    def verdict(self) -> Verdict:
        """Whether the interval leaves out zero, and on which side."""
        if self.half_width is None or abs(self.mean) <= self.half_width:
            return "not decided"
        return "yes" if self.mean > 0 else "no, it is worse"


def difference(better: Mapping[int, float], worse: Mapping[int, float]) -> Difference | None:
    """Of figures by seed; None where no seed has both.

    The interval is t's with n - 1 degrees of freedom. Raises ValueError for more than 11 pairs.
    """
    seeds = sorted(better.keys() & worse.keys())
    if not seeds:
        return None
    if len(seeds) > len(T_975) + 1:
        raise ValueError(f"Intervals are of at most {len(T_975) + 1} seeds, not {len(seeds)}.")
    deltas = [better[seed] - worse[seed] for seed in seeds]
    half = None
    if len(deltas) > 1:
        half = T_975[len(deltas) - 2] * stdev(deltas) / math.sqrt(len(deltas))
    return Difference(mean=fmean(deltas), half_width=half, n=len(deltas))
