"""Files within the limits that would cost a decoder much: sizes, scans, texts, frames, EXIF."""

import functools
import io
import struct
import zlib
from typing import Final

import numpy as np
from PIL import Image

from benchmarks.pictures import encoded, huge_png, landscape

# As much as the service takes of one image.
FILE_BYTES: Final = 20 * 1024 * 1024
_PNG: Final = b"\x89PNG\r\n\x1a\n"


@functools.cache
def bombs() -> dict[str, bytes]:
    """Files by name; each must be refused."""
    png, jpeg, webp = (encoded(landscape(64, 48), name) for name in ("PNG", "JPEG", "WEBP"))
    large = _greedy_exif(FILE_BYTES - 65_536)
    return {
        "png 30,000 x 30,000": huge_png(),
        "png 2^31-1 x 2^31-1": _header(png, 2**31 - 1, 2**31 - 1),
        "png of 49 million pixels in 1 KB": _header(png, 7_000, 7_000),
        "png with 60 texts of 1 MB": _png_with(png, [_text(b"zTXt")] * 60),
        "png with 60 international texts": _png_with(png, [_text(b"iTXt")] * 60),
        "png with a text of 1 GB": _png_with(png, [chunk(b"zTXt", b"a\0\0" + _deflated(1 << 30))]),
        "png with a profile of 1 GB": _png_with(
            png, [chunk(b"iCCP", b"a\0\0" + _deflated(1 << 30))]
        ),
        "png of a million chunks": _png_with(png, [chunk(b"prVt", b"")] * 1_000_000),
        "apng of 2^31-1 frames": _png_with(png, [chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))]),
        "jpeg 65,535 x 65,535": _jpeg_size(jpeg, 65_535, 65_535),
        "jpeg of five million segments": jpeg[:2] + b"\xff\xe5\x00\x02" * 5_000_000 + jpeg[2:],
        "jpeg of as many comments": jpeg[:2] + b"\xff\xfe\x00\x02" * 5_000_000 + jpeg[2:],
        "progressive jpeg of 2,000 scans": _many_scans(_progressive(64, 48), 2_000),
        "progressive jpeg, 40 scans of 49 million pixels": _many_scans(
            _jpeg_size(_progressive(64, 48), 7_000, 7_000), 40
        ),
        "webp 16,384 x 16,384, animated": _webp_canvas(webp, 16_384, 16_384),
        "webp 2^24 x 2^24": _webp_canvas(webp, 1 << 24, 1 << 24),
        "webp of 100,000 frames": _webp_frames(webp, 100_000),
        "webp of two million chunks": webp_file(webp[12:] + b"junk\0\0\0\0" * 2_000_000),
        "png of 20 MB of EXIF that claims it 65,000 times": _png_with(
            png, [chunk(b"eXIf", large[6:])]
        ),
        "webp of 20 MB of such EXIF": webp_file(
            _vp8x(64, 48, 0x08) + webp[12:] + riff_chunk(b"EXIF", large[6:])
        ),
        "gif of 100,000 frames": _gif(100_000),
        "bmp 65,535 x 65,535": b"BM" + struct.pack("<IIIIiiHH", 54, 0, 54, 40, 65535, 65535, 1, 24),
        "zip of zeros": b"PK\3\4" + _deflated(1 << 24),
        "svg of a billion laughs": b'<!DOCTYPE svg [<!ENTITY a "&b;&b;">]><svg>&a;</svg>',
        "20 MiB of nothing": bytes(FILE_BYTES),
        "more than 20 MiB": jpeg + bytes(FILE_BYTES),
    }


@functools.cache
def loaded() -> dict[str, bytes]:
    """Files by name that say much of themselves, and whose picture must come all the same."""
    png, jpeg, webp = (encoded(landscape(64, 48), name) for name in ("PNG", "JPEG", "WEBP"))
    exif = _greedy_exif(60_000)
    large = _greedy_exif(FILE_BYTES - 65_536)
    icc = b"ICC_PROFILE\0\1\1" + bytes(65_000)
    return {
        "jpeg whose EXIF claims its bytes 5,000 times": jpeg[:2] + segment(0xE1, exif) + jpeg[2:],
        "jpeg whose EXIF goes on for 20 MB": jpeg[:2]
        + b"".join(
            segment(0xE1, b"Exif\0\0" + large[6 + start : 6 + start + 60_000])
            for start in range(0, len(large) - 200_000, 60_000)
        )
        + jpeg[2:],
        "jpeg with a profile of 20 MB": jpeg[:2] + segment(0xE2, icc) * 310 + jpeg[2:],
        "png whose EXIF claims its bytes 5,000 times": _png_with(png, [chunk(b"eXIf", exif[6:])]),
        "webp whose EXIF claims its bytes 5,000 times": webp_file(
            _vp8x(64, 48, 0x08) + webp[12:] + riff_chunk(b"EXIF", exif[6:])
        ),
    }


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG's."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def segment(marker: int, data: bytes) -> bytes:
    """A JPEG's."""
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def riff_chunk(kind: bytes, data: bytes) -> bytes:
    """A WebP's."""
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def webp_file(chunks: bytes) -> bytes:
    """A WebP of chunks."""
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def _png_with(png: bytes, chunks: list[bytes]) -> bytes:
    after_header = len(_PNG) + 25
    return png[:after_header] + b"".join(chunks) + png[after_header:]


def _header(png: bytes, width: int, height: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">II", width, height) + png[24:29])
    return _PNG + header + png[len(_PNG) + len(header) :]


def _deflated(count: int) -> bytes:
    """So many zeros, with a wrong checksum at the end, where nobody should come."""
    packer = zlib.compressobj(9)
    first, second = (
        packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
    )
    return first + second * ((count >> 20) - 1) + packer.flush()


def _text(kind: bytes) -> bytes:
    head = b"a\0\1\0\0\0" if kind == b"iTXt" else b"a\0\0"
    return chunk(kind, head + _deflated(1 << 20))


def _jpeg_size(jpeg: bytes, width: int, height: int) -> bytes:
    for marker in (b"\xff\xc0", b"\xff\xc2"):
        place = jpeg.find(marker)
        if place > 0:
            size = struct.pack(">HH", height, width)
            return jpeg[: place + 5] + size + jpeg[place + 9 :]
    raise AssertionError("no frame header")


def _progressive(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(landscape(width, height)).save(buffer, "JPEG", progressive=True)
    return buffer.getvalue()


def _many_scans(jpeg: bytes, count: int) -> bytes:
    """Its last scan again and again."""
    start = jpeg.rfind(b"\xff\xda")
    return jpeg[:start] + jpeg[start:-2] * count + jpeg[-2:]


def _vp8x(width: int, height: int, flags: int) -> bytes:
    sizes = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return riff_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sizes)


def _webp_canvas(webp: bytes, width: int, height: int) -> bytes:
    return webp_file(_vp8x(width, height, 0x02) + riff_chunk(b"ANIM", bytes(6)) + _anmf(webp))


def _anmf(webp: bytes) -> bytes:
    sizes = struct.pack("<I", 63)[:3] + struct.pack("<I", 47)[:3]
    return riff_chunk(b"ANMF", bytes(6) + sizes + b"\x0a\0\0\0" + webp[12:])


def _webp_frames(webp: bytes, count: int) -> bytes:
    small = encoded(landscape(1, 1), "WEBP")
    frame = riff_chunk(b"ANMF", bytes(12) + b"\x0a\0\0\0" + small[12:])
    frames = _anmf(webp) + frame * count
    return webp_file(_vp8x(64, 48, 0x02) + riff_chunk(b"ANIM", bytes(6)) + frames)


def _gif(count: int) -> bytes:
    frame = b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"
    return b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + frame * count + b"\x3b"


def _greedy_exif(count: int) -> bytes:
    """EXIF of about `count` bytes, each entry of which claims nearly all of them as its own."""
    entries = min(65_000, count // 13)
    first = 8 + 2 + entries * 12 + 4
    rows = np.zeros(entries, dtype=[("tag", ">u2"), ("kind", ">u2"), ("n", ">u4"), ("at", ">u4")])
    rows["tag"] = np.arange(1, entries + 1)
    rows["tag"][rows["tag"] == 274] = 0
    rows["kind"], rows["n"], rows["at"] = 7, count // 2, 8
    directory = struct.pack(">H", entries) + rows.tobytes() + bytes(4)
    return b"Exif\0\0MM\0\x2a\0\0\0\x08" + directory + bytes(max(0, count - first))
