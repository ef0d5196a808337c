"""How similar different subjects are by chance, learnt from the gallery that is judged.

Nearly all pairs of subjects are two people, so the similarities of all pairs show chance, a few
faults among them or not. Beyond the most similar pairs lies a tail that is fitted: exponential, the
bound of every tail that falls off faster (peaks over threshold: Pickands, 1975). It is fitted where
pairs are many, so that duplicates, which are few beside all pairs, hardly move it.
"""

from dataclasses import dataclass
from math import log
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from contract.similarity import Float

_FAR: Final = 1e-3  # The tail is fitted to the shares of pairs from 10 times this one to it.
_DECADE: Final = 10.0
_FARTHEST: Final = 0.05  # So that half of the pairs are no tail, of however few subjects.
_LEAST_RISE: Final = 1e-9  # Of similarities that are all the same.


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """P(similarity >= x) = near * exp(-rate * (x - start)), for x >= start.

    start: the similarity that the share `near` of all pairs reaches.
    """

    start: float
    near: float
    rate: float

    @classmethod
    def fitted(cls, similarities: Float, *, subjects: int) -> Self:
        """From similarities of pairs of different subjects, any shape.

        The end of the fit leaves a quarter as many pairs beyond it as there are subjects, so that
        one duplicate for every ten subjects does not pass for chance; but never fewer than one in
        a thousand pairs.
        """
        far = min(max(_FAR, 1 / (2 * (subjects - 1))), _FARTHEST)
        near = _DECADE * far
        start, end = np.quantile(similarities, [1 - near, 1 - far])
        rate = log(_DECADE) / max(float(end - start), _LEAST_RISE)
        return cls(start=float(start), near=near, rate=rate)

    def of(self, similarities: Float) -> Float:
        """The chance that two subjects are as similar; `near` for whatever is below `start`."""
        above = np.maximum(np.asarray(similarities, dtype=np.float64) - self.start, 0.0)
        return np.asarray(self.near * np.exp(-self.rate * above))

    def level(self, chance: float) -> float:
        """The similarity that is reached by that chance, from 0 to `near`."""
        return self.start + log(self.near / chance) / self.rate


def discoveries(chances: Float, *, tests: int, false_share: float) -> npt.NDArray[np.bool_]:
    """Which of some findings stand, bool (len,), if `false_share` of those may be false.

    chances: of each finding, had it come by chance. tests: how many were looked at to find them,
    the chances of all others being larger. Benjamini and Hochberg, 1995.
    """
    order = np.argsort(chances)
    allowed = false_share * np.arange(1, len(chances) + 1) / max(1, tests)
    standing = np.flatnonzero(chances[order] <= allowed)
    found = np.zeros(len(chances), dtype=np.bool_)
    if len(standing):
        found[order[: standing[-1] + 1]] = True
    return found
