"""Bytes of an upload to upright RGB pixels, the same for training, evaluation and serving.

Pixel convention at this boundary: uint8, (height, width, 3), RGB, EXIF orientation applied, origin
top left. The format is told from the content, never from a name. Size in bytes and in pixels is
checked before any pixel is decoded, and so is what else a file is made of, so that none can ask for
much memory or time.
"""

import io
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from contract.errors import (
    DamagedImageError,
    EmptyFileError,
    ImageTooLargeError,
    NotAnImageError,
)
from contract.jpeg_parts import is_jpeg, jpeg_parts
from contract.orientation import orientation_of
from contract.png_parts import check_png, is_png, png_size
from contract.webp_parts import check_webp, is_webp, webp_size

FORMATS = ("JPEG", "PNG", "WEBP")

# EXIF orientation to what makes the picture upright; 1 and unknown values need nothing.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDES_SWAPPED = tuple(_TURNS[orientation] for orientation in (5, 6, 7, 8))

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLimits:
    """max_bytes: of the encoded file. max_pixels: width times height, before decoding."""

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 50_000_000

    def __post_init__(self) -> None:
        if self.max_bytes < 1 or self.max_pixels < 1:
            raise ValueError("Image limits must be positive numbers of bytes and pixels.")


DEFAULT_LIMITS = ImageLimits()


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """pixels: uint8 (h, w, 3) upright RGB, reduced or not. width, height: of the whole image."""

    pixels: Pixels
    width: int
    height: int


def decode_image(data: bytes, limits: ImageLimits = DEFAULT_LIMITS) -> Pixels:
    """Decode a JPEG, PNG or WebP file into upright RGB pixels, uint8 (H, W, 3).

    Transparent parts become white; CMYK, palette, grey and 16-bit images are converted; of an
    animation the first frame is taken.
    Raises EmptyFileError, NotAnImageError (another format), DamagedImageError (broken off or
    broken) or ImageTooLargeError (of pixels, bytes, scans, frames or parts).
    """
    return decode_reduced(data, limits, longest_px=None).pixels


def decode_reduced(data: bytes, limits: ImageLimits, *, longest_px: int | None) -> Decoded:
    """As decode_image, a JPEG at a half, quarter or eighth of its sides where that does.

    longest_px: the longest side is reduced to no less; None for all pixels. Most of the work and
    of the memory of a large JPEG are never begun, since its blocks are decoded at that size.
    """
    if not data:
        raise EmptyFileError("The file is empty: send the bytes of a JPEG, PNG or WebP image.")
    if len(data) > limits.max_bytes:
        raise ImageTooLargeError(
            f"The file has {len(data)} bytes, at most {limits.max_bytes} are taken: "
            "send a smaller or more compressed image."
        )
    try:
        file, said = _looked_over(data, limits)
        with Image.open(io.BytesIO(file), formats=FORMATS) as image:
            _check_pixels(image.size, limits)
            width, height = image.size
            if longest_px is not None and image.format == "JPEG":
                # Pillow takes the smallest of its sizes of which no side is below this.
                times = max(1, max(width, height) // longest_px)
                image.draft(None, (max(1, width // times), max(1, height // times)))
            image.load()
            turn = _TURNS.get(orientation_of(*(said or _told_by(image))))
            if turn in _SIDES_SWAPPED:
                width, height = height, width
            upright = image if turn is None else image.transpose(turn)
            return Decoded(np.asarray(_to_rgb(upright)), width, height)
    except ImageTooLargeError:
        raise
    except UnidentifiedImageError as error:
        raise NotAnImageError(
            "The file is not a JPEG, PNG or WebP image: convert it to one of these."
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLargeError(
            f"The image has more than {limits.max_pixels} pixels: send a smaller one."
        ) from error
    # Damaged files reach Pillow's plugins, which raise nearly anything, SyntaxError included.
    except Exception as error:
        raise DamagedImageError(
            "The image file is damaged or breaks off: send the original file, complete."
        ) from error


def _looked_over(data: bytes, limits: ImageLimits) -> tuple[bytes, tuple[bytes, bytes] | None]:
    """What of a file goes to Pillow; of a JPEG the EXIF and XMP, which do not.

    Raises ValueError (it breaks off) or ImageTooLargeError (it would keep a decoder busy, too).
    """
    if is_jpeg(data):
        parts = jpeg_parts(data)
        _check_pixels(parts.size, limits)
        if parts.breaks_off:
            raise ValueError("fewer bytes than a picture of its size has at least")
        return parts.file, (parts.exif, parts.xmp)
    # Pillow makes room for the canvas of a WebP as soon as it opens the file.
    size = png_size(data) if is_png(data) else webp_size(data) if is_webp(data) else None
    if size is not None:
        _check_pixels(size, limits)
    if is_png(data):
        check_png(data)
    if is_webp(data):
        check_webp(data)
    return data, None


def _check_pixels(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageTooLargeError(
            f"The image has {width} x {height} pixels, at most {limits.max_pixels} are taken: "
            "send a smaller one."
        )


def _told_by(image: Image.Image) -> tuple[bytes, bytes]:
    """The EXIF and XMP of a loaded PNG or WebP."""
    info = image.info
    exif = info.get("exif", b"")
    if not exif and isinstance(raw := info.get("Raw profile type exif"), str):
        # As ImageMagick writes it: a name, a length, and lines of hex.
        with suppress(ValueError):
            exif = bytes.fromhex("".join(raw.split("\n")[3:]))
    xmp = info.get("XML:com.adobe.xmp", info.get("xmp", b""))
    return exif, xmp.encode() if isinstance(xmp, str) else xmp


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        # 16-bit grey: Pillow's own conversion clips to 255 instead of scaling.
        # In place, since four bytes a pixel are much already.
        grey = np.array(image, dtype=np.int32)
        np.clip(grey, 0, 65535, out=grey)
        grey += 128
        grey //= 257
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
        return opaque.convert("RGB")
    return image.convert("RGB")
