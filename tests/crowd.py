"""A picture of one face in several sizes, as detectors are tested on."""

import numpy as np
import numpy.typing as npt
from skimage.data import astronaut

Pixels = npt.NDArray[np.uint8]


def crowd() -> Pixels:
    """The portrait in three sizes, once turned, once cut off at the edge."""
    picture = np.zeros((413, 500, 3), dtype=np.uint8)
    portrait = astronaut()[:240, 110:350]
    picture[:240, :240] = portrait
    picture[10:130, 250:370] = portrait[::2, ::2]
    picture[10:90, 400:480] = portrait[::3, ::3]
    picture[173:413, 350:] = portrait[:, :150]
    picture[260:380, 100:220] = np.rot90(portrait[::2, ::2])
    return picture
