"""Sharpness of a picture whatever it shows: how much of its contrast a further blur takes away.

Crété-Roffet et al., "The blur effect: perception and estimation with a new no-reference perceptual
blur metric" (SPIE 2007). A sharp picture loses most of the differences between its neighbouring
pixels when it is blurred; one that is blurred already loses little.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.floating]

REBLUR_PX: Final = 9


def sharpness(luma_HW: Float) -> float:
    """In [0, 1], 0 for a picture of one colour; both sides must be larger than REBLUR_PX.

    1 minus the paper's blur, its equations 1 to 7: the share of the differences that a mean over
    nine pixels takes away, in the direction (across, down) in which it takes the smaller share.
    """
    return min(_lost(luma_HW), _lost(luma_HW.T))


def _lost(luma_HW: Float) -> float:
    """Share of the differences between neighbours in a row that blurring the rows takes away."""
    sums = np.cumsum(luma_HW, axis=1, dtype=np.float64)
    sums = np.concatenate([np.zeros((len(luma_HW), 1)), sums], axis=1)
    blurred = (sums[:, REBLUR_PX:] - sums[:, :-REBLUR_PX]) / REBLUR_PX
    # Only pixels whose nine neighbours are all in the picture.
    inner = luma_HW[:, REBLUR_PX // 2 : -(REBLUR_PX // 2)]
    sharp_steps = np.abs(np.diff(inner, axis=1))
    blurred_steps = np.abs(np.diff(blurred, axis=1))
    whole = float(sharp_steps.sum())
    return float(np.maximum(sharp_steps - blurred_steps, 0).sum()) / whole if whole > 0 else 0.0
