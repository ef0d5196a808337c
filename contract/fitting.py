"""Fitting: a whole image to the square that the model takes, in training and serving alike."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

Pixels = npt.NDArray[np.uint8]
Fit = Literal["pad", "crop", "stretch"]


def fit_image(image_HW3: Pixels, side_px: int, fit: Fit) -> Pixels:
    """uint8 (side_px, side_px, 3) of a uint8 RGB image of any size; one of that size unchanged.

    fit: `pad` shows the whole image, undistorted, between black borders; `crop` cuts off what is
        too long, on both sides alike; `stretch` distorts.
    """
    picture, size = Image.fromarray(image_HW3), (side_px, side_px)
    if fit == "crop":
        return np.asarray(ImageOps.fit(picture, size, Image.Resampling.BICUBIC))
    if fit == "stretch":
        return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))
    scale = side_px / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    whole = Image.new("RGB", size)
    corner = ((side_px - width) // 2, (side_px - height) // 2)
    whole.paste(picture.resize((width, height), Image.Resampling.BICUBIC), corner)
    return np.asarray(whole)
