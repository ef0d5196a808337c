"""Pictures that need no photo of ours: the public-domain astronaut, and files that are wrong."""

import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]

HUGE_SIDE_PX = 30_000


def astronaut() -> Pixels:
    """Eileen Collins, photographed by NASA, as scikit-image's wheel carries her; 512 x 512."""
    from skimage import data

    return np.asarray(data.astronaut(), dtype=np.uint8)  # type: ignore[no-untyped-call]


def two_astronauts() -> Pixels:
    """The same photo twice, side by side: two faces."""
    return np.hstack([astronaut(), astronaut()])


def landscape(width: int = 640, height: int = 480) -> Pixels:
    """A hazy sky over a field, and nobody there."""
    rows = np.linspace(0, 1, height)[:, None]
    sky, field = np.array([150, 180, 220]), np.array([70, 110, 60])
    colours = np.where(rows < 0.6, sky + 60 * rows, field - 30 * rows)
    noise = np.random.default_rng(0).normal(0, 2, (height, width, 3))
    return np.clip(colours[:, None, :] + noise, 0, 255).astype(np.uint8)


def encoded(pixels: Pixels, image_format: str = "PNG", **options: int) -> bytes:
    """An image file of uint8 (H, W, 3) RGB pixels; `options` are Pillow's."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, image_format, **options)
    return buffer.getvalue()


def truncated_jpeg() -> bytes:
    """The first half of a good JPEG file."""
    whole = encoded(astronaut(), "JPEG")
    return whole[: len(whole) // 2]


def huge_png(side_px: int = HUGE_SIDE_PX) -> bytes:
    """A valid, black PNG of side_px x side_px in one bit a pixel: a thousandth of its raw size."""
    row = bytes(1 + (side_px + 7) // 8)  # Filter type 0, then the pixels.
    packer = zlib.compressobj(9)
    packed = [packer.compress(row * 100) for _ in range(side_px // 100)]
    packed += [packer.compress(row * (side_px % 100)), packer.flush()]
    header = struct.pack(">IIBBBBB", side_px, side_px, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", b"".join(packed))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
