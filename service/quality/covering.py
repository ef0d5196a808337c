"""How much of a face is covered, told by its colours: no part of a face strays far from the rest.

Colours are logarithms, so that light and the tone of a skin only shift them: red and blue against
green, and luma at WEIGHT, since shadows lie on every face. The colour that most of the face is
near is taken for its skin. What covers without another colour, a hand, is not told.
Shapes: N places of the face, M every other one of them.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]

WEIGHT: Final = 0.4
# So near are the colours of one skin to each other.
NEAR: Final = 0.15
# Added to each channel, so that the noise and the glare of dark and of saturated skin stay small.
FLOOR: Final = 64.0
# Lips, brows, eyes and nostrils take up less of a face than that share.
SHARE: Final = 0.3
_LUMA: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def _places() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns of every fourth pixel of the face's oval in the 112 x 112 crop."""
    rows, columns = np.mgrid[2:112:4, 2:112:4]
    inside = ((columns - 56) / 34) ** 2 + ((rows - 70) / 42) ** 2 < 1
    return rows[inside], columns[inside]


_ROWS, _COLUMNS = _places()
_LEFT: Final = _COLUMNS < 56


def covering(crop_HW3: Pixels) -> float:
    """In [0, 1], of an aligned 112 x 112 RGB crop: 0.1 is usual, from 0.3 on something covers it.

    The larger of two: the distance from the skin's colour that 30 % of the face is beyond, and
    twice the difference between the median distances of its left and right half.
    """
    strayed_N = _distances(_colours(crop_HW3[_ROWS, _COLUMNS]))
    beyond = float(np.quantile(strayed_N, 1 - SHARE))
    lopsided = abs(float(np.median(strayed_N[_LEFT]) - np.median(strayed_N[~_LEFT])))
    return min(1.0, max(beyond, 2 * lopsided))


def _colours(rgb_N3: Pixels) -> Float:
    """Logarithms (N, 3): red and blue against green, luma."""
    rgb = rgb_N3.astype(np.float32) + FLOOR
    red, green, blue = np.log(rgb).T
    return np.column_stack([red - green, blue - green, WEIGHT * np.log(rgb @ _LUMA)])


def _distances(colours_N3: Float) -> Float:
    """Of each place from the colour of the skin: the mean around where most places are near."""
    # Every other place as the middle of a cloud is enough, in half the time.
    middles_M3 = colours_N3[::2]
    apart_MN = np.square(middles_M3).sum(axis=1)[:, None] + np.square(colours_N3).sum(axis=1)
    near_MN = apart_MN - 2 * middles_M3 @ colours_N3.T < NEAR**2
    skin = colours_N3[near_MN[near_MN.sum(axis=1).argmax()]].mean(axis=0)
    return np.asarray(np.sqrt(np.square(colours_N3 - skin).sum(axis=1)))
