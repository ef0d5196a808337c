"""Crops as they are stored: what the model took, without loss, and how it was cut.

A crop can be embedded by another bundle without a detector, if that one takes such crops: a PNG
says of itself how it was aligned, since the gallery does not know.
"""

import io
import re
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from contract.errors import OneGlanceError
from contract.images import decode_image
from contract.manifest import InputSpec

Pixels = npt.NDArray[np.uint8]

_NOTE: Final = "oneglance-crop"
_BEGINNINGS: Final = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
}
_UNKNOWN_TYPE: Final = "application/octet-stream"
IMAGE_TYPES: Final = (*_BEGINNINGS, _UNKNOWN_TYPE)


class OtherCropError(OneGlanceError):
    """The crop was cut for another kind of model."""


def kind_of(pixels: InputSpec) -> str:
    """Which crops a bundle takes, in one line."""
    fit = f" {pixels.fit}" if pixels.fit else ""
    return f"{pixels.alignment}{fit} {pixels.width}x{pixels.height} {pixels.color_order}"


def image_type(data: bytes) -> str:
    """The media type of a stored picture, one of IMAGE_TYPES, told from its beginning.

    A gallery keeps what it was given, which an import may have made elsewhere.
    """
    found = (name for name, beginning in _BEGINNINGS.items() if beginning.match(data))
    return next(found, _UNKNOWN_TYPE)


def encode_crop(crop_HW3: Pixels, pixels: InputSpec) -> bytes:
    """A PNG of a crop, uint8 RGB, that was made for `pixels`."""
    note = PngImagePlugin.PngInfo()
    note.add_text(_NOTE, kind_of(pixels))
    buffer = io.BytesIO()
    Image.fromarray(crop_HW3).save(buffer, "PNG", pnginfo=note)
    return buffer.getvalue()


def decode_crop(data: bytes, pixels: InputSpec) -> Pixels:
    """The crop, uint8 (H, W, 3) RGB. Raises ImageError, or OtherCropError: not for `pixels`."""
    crop = decode_image(data)
    with Image.open(io.BytesIO(data)) as image:
        kind = image.info.get(_NOTE)
    if kind != kind_of(pixels) or crop.shape != (pixels.height, pixels.width, 3):
        raise OtherCropError(
            f"The stored crop is {kind or 'of an unknown kind'}, the bundle takes "
            f"{kind_of(pixels)}: embed the original photos instead, by `oneglance gallery reembed "
            "--originals FOLDER`."
        )
    return crop
