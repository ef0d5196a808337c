"""Other looks at a photo in which no face was found: larger, brighter, smaller, sharper, turned.

Each gives other pixels, and the way back from a point there to the photo as it is. Pixels: uint8
(H, W, 3) RGB; points: x, y, origin top left, whole numbers at the centres of pixels.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from service.quality.measures import LUMA

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.floating]

# Longest side of what is looked at: bounds the time of each look.
SIDE_PX: Final = 320
ENLARGED_SIDE_PX: Final = 640
ENLARGED_TIMES: Final = 3.0


@dataclass(frozen=True, slots=True)
class Look:
    """name: what was done to the photo, in words. to_photo: from points of `pixels`."""

    name: str
    pixels: Pixels
    to_photo: Callable[[Points], Points]


def looks(photo_HW3: Pixels) -> Iterator[Look]:
    """The looks that may help, those that help most often first; made one at a time."""
    longest = max(photo_HW3.shape[:2])
    times = min(ENLARGED_TIMES, ENLARGED_SIDE_PX / longest)
    if _luma(photo_HW3) < 0.25:
        yield _scaled("brightened", photo_HW3, min(1.0, SIDE_PX / longest), _brightened)
    if times > 1.4:
        yield _scaled("enlarged", photo_HW3, times, np.asarray)
    for share in (0.5, 0.34):
        yield _scaled("reduced", photo_HW3, min(1.0, SIDE_PX / longest) * share, np.asarray)
    yield _scaled("sharpened", photo_HW3, min(1.0, SIDE_PX / longest), _sharpened)
    yield from turned_looks(photo_HW3)


def turned_looks(photo_HW3: Pixels) -> Iterator[Look]:
    """The photo on either side and upside down."""
    longest = max(photo_HW3.shape[:2])
    for quarters in (1, 3, 2):
        small = _scaled("turned", photo_HW3, min(1.0, SIDE_PX / longest), np.asarray)
        height, width = small.pixels.shape[:2]
        back = partial(_unturned, quarters=quarters, width=width, height=height)
        yield Look(
            f"turned by {90 * quarters} degrees",
            np.ascontiguousarray(np.rot90(small.pixels, quarters)),
            lambda points, small=small, back=back: small.to_photo(back(points)),  # type: ignore[misc]
        )


def _scaled(
    name: str, photo_HW3: Pixels, times: float, change: Callable[[Image.Image], Pixels]
) -> Look:
    height, width = photo_HW3.shape[:2]
    size = (max(1, round(width * times)), max(1, round(height * times)))
    resized = Image.fromarray(photo_HW3).resize(
        size, Image.Resampling.BICUBIC, reducing_gap=2.0 if times < 1 else None
    )
    scale = np.array([width / size[0], height / size[1]])
    return Look(name, change(resized), lambda points: (points + 0.5) * scale - 0.5)


def _unturned(points: Points, *, quarters: int, width: int, height: int) -> Points:
    """Points of np.rot90(pixels, quarters) to points of the pixels, width by height."""
    x, y = points[..., 0], points[..., 1]
    if quarters == 1:
        x, y = width - 1 - y, x
    elif quarters == 2:
        x, y = width - 1 - x, height - 1 - y
    else:
        x, y = y, height - 1 - x
    return np.stack([x, y], axis=-1)


def _luma(photo_HW3: Pixels) -> float:
    """Mean in [0, 1]."""
    return float(photo_HW3.reshape(-1, 3).mean(axis=0) @ LUMA) / 255


def _brightened(photo: Image.Image) -> Pixels:
    """Contrast stretched to all there is, the middle raised to a half; noise smoothed a little."""
    values = np.asarray(photo.filter(ImageFilter.GaussianBlur(1)), dtype=np.float32)
    dark, light = np.percentile(values, (1, 99))
    share = np.clip((values - dark) / max(float(light - dark), 1.0), 0, 1)
    middle = float(share.mean())
    gamma = np.log(0.45) / np.log(middle) if 0 < middle < 1 else 1.0
    return np.asarray(share ** min(gamma, 1.0) * 255).astype(np.uint8)


def _sharpened(photo: Image.Image) -> Pixels:
    return np.asarray(photo.filter(ImageFilter.UnsharpMask(radius=3, percent=200, threshold=0)))
