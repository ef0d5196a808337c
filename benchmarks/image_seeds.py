"""Good image files of every kind that is taken, to be damaged: the public-domain astronaut and
drawn pictures."""

import io
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.pictures import astronaut, landscape


def seeds() -> dict[str, bytes]:
    """Files by name."""
    face = Image.fromarray(astronaut()[0:224, 112:336])
    small = Image.fromarray(landscape(60, 44))
    drawn = Image.fromarray(_noise(50, 38))
    turned = _exif()
    palette = face.resize((96, 96)).quantize(200)
    return {
        "jpeg": _file(face, "JPEG", quality=88),
        "jpeg, small": _file(small, "JPEG"),
        "jpeg, 4:4:4 with restarts": _file(
            face.resize((120, 112)), "JPEG", subsampling=0, restart_marker_blocks=3
        ),
        "jpeg, progressive": _file(face.resize((128, 128)), "JPEG", progressive=True),
        "jpeg, grey": _file(face.convert("L").resize((90, 90)), "JPEG"),
        "jpeg, CMYK": _file(face.convert("CMYK").resize((80, 80)), "JPEG"),
        "jpeg, EXIF and ICC": _file(face, "JPEG", exif=turned, icc_profile=bytes(range(256)) * 3),
        "jpeg, noise": _file(drawn, "JPEG", quality=100),
        "png": _file(face.resize((112, 112)), "PNG"),
        "png, palette with transparency": _file(palette, "PNG", transparency=bytes([0, 128, 255])),
        "png, one bit": _file(small.convert("1"), "PNG"),
        "png, grey with transparency": _file(small.convert("LA"), "PNG"),
        "png, transparency": _file(face.convert("RGBA").resize((64, 64)), "PNG"),
        "png, 16 bit": _file(_sixteen_bit(), "PNG"),
        "png, EXIF and ICC": _file(small, "PNG", exif=turned, icc_profile=bytes(300)),
        "png, animated": _file(
            small, "PNG", save_all=True, append_images=[small.rotate(20), small.rotate(40)]
        ),
        "webp": _file(face, "WEBP", quality=80),
        "webp, lossless": _file(drawn, "WEBP", lossless=True),
        "webp, transparency": _file(face.convert("RGBA").resize((64, 64)), "WEBP"),
        "webp, EXIF and ICC": _file(small, "WEBP", exif=turned, icc_profile=bytes(300)),
        "webp, animated": _file(
            small, "WEBP", save_all=True, append_images=[small.rotate(20), small.rotate(40)]
        ),
    }


def _file(image: Image.Image, image_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "maker", 72.0
    exif.get_ifd(0x8769)[0x9000] = b"0230"
    return exif.tobytes()


def _noise(width: int, height: int) -> Any:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _sixteen_bit() -> Image.Image:
    values = np.random.default_rng(8).integers(0, 65_536, (40, 52)).astype(np.uint16)
    return Image.fromarray(values)
