"""Five-point alignment: a face in a photo to the crop that the embedding model takes.

Template: the 112 x 112 ArcFace reference points (Deng et al., CVPR 2019), the ones that
faces-train's crops were made with. Points are x, y in pixels, origin top left; left and right as
seen in the image.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.floating]

CROP_SIDE_PX: Final = 112
TEMPLATE: Final[npt.NDArray[np.float64]] = np.array(
    [
        [38.2946, 51.6963],  # left eye
        [73.5318, 51.5014],  # right eye
        [56.0252, 71.7366],  # nose
        [41.5493, 92.3655],  # left corner of the mouth
        [70.7299, 92.2041],  # right corner of the mouth
    ]
)


def similarity_transform(source_52: Points, target_52: Points) -> npt.NDArray[np.float64]:
    """Rotation, scale and shift, shape (2, 3), that brings `source` nearest to `target`.

    Least squares (Umeyama, 1991) without reflection: in the plane a complex number holds rotation
    and scale, and its best value is a plain projection.
    Raises ValueError if the source points all coincide.
    """
    source = np.asarray(source_52, dtype=np.float64)
    target = np.asarray(target_52, dtype=np.float64)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    s = (source - source_mean) @ np.array([1, 1j])
    t = (target - target_mean) @ np.array([1, 1j])
    spread = float(np.vdot(s, s).real)
    if not spread > 0 or not np.isfinite(spread):
        raise ValueError("The landmarks all lie on one point: there is no face to align.")
    turn = np.vdot(s, t) / spread
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.hstack([linear, (target_mean - linear @ source_mean)[:, None]])


def align_face(image_HW3: Pixels, landmarks_52: Points) -> Pixels:
    """Crop of 112 x 112 x 3 uint8 RGB with the face at the template; outside the photo is black.

    Faces much larger than the crop are averaged down first, since bilinear sampling alone would
    pick single pixels out of them.
    """
    forward = similarity_transform(landmarks_52, TEMPLATE)
    scale = float(np.hypot(forward[0, 0], forward[1, 0]))  # crop pixels per photo pixel
    size = (image_HW3.shape[1], image_HW3.shape[0])
    shrink = min(max(1, int(0.5 / scale)), max(size))
    # Pillow copies what it is given: of a large photo with many faces no more than each needs.
    left, top, right, bottom = _region(forward, size, shrink)
    image = Image.fromarray(image_HW3[top:bottom, left:right]).reduce(shrink)
    offset = np.array([left, top], dtype=np.float64)
    # Pillow asks for the way back: crop pixel -> photo pixel. It samples at pixel centres, hence
    # the halves, as do landmarks that name a pixel's centre by whole numbers.
    inverse = np.linalg.inv(np.vstack([forward, [0, 0, 1]]))[:2]
    linear, shift = inverse[:, :2] / shrink, inverse[:, 2]
    half = np.array([0.5, 0.5])
    shift = (shift - offset + half) / shrink - linear @ half
    coefficients = (*linear[0], shift[0], *linear[1], shift[1])
    crop = image.transform(
        (CROP_SIDE_PX, CROP_SIDE_PX),
        Image.Transform.AFFINE,
        tuple(float(c) for c in coefficients),
        resample=Image.Resampling.BILINEAR,
    )
    return np.asarray(crop)


def _region(
    forward: npt.NDArray[np.float64], size: tuple[int, int], shrink: int
) -> tuple[int, int, int, int]:
    """The part of the photo that the crop shows, with a margin, on the photo: pixels."""
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.float64) * CROP_SIDE_PX
    back = np.linalg.inv(np.vstack([forward, [0, 0, 1]]))
    seen = corners @ back[:2, :2].T + back[:2, 2]
    margin = 2 * shrink
    low = np.maximum(np.floor(seen.min(axis=0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(seen.max(axis=0)).astype(int) + margin, size)
    # Landmarks outside the photo leave nothing to see; one pixel keeps Pillow content.
    low = np.minimum(low, np.array(size) - 1)
    high = np.maximum(high, low + 1)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
