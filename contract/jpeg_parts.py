"""The parts of a JPEG file that its picture is made of, without what it says of itself.

Pillow reads all that a file says of itself, its EXIF included, before it looks at a pixel: 64 KB of
EXIF can have it copy gigabytes, and a million empty segments keep it busy for seconds. Here the
segments before the first scan are walked as Pillow walks them, few are kept, and scans are counted:
each scan of a progressive JPEG costs time for the whole picture.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from contract.errors import ImageTooLargeError

# Of one file: cameras write tens, large ICC profiles and depth maps some hundreds.
MAX_SEGMENTS: Final = 10_000
# Of one picture; encoders write up to some 70. Large pictures may have fewer, see scans_allowed.
MAX_SCANS: Final = 100
# Scans times pixels of one picture, so that it takes seconds at most.
MAX_SCANNED_PIXELS: Final = 1_000_000_000

_EXIF: Final = b"Exif\0\0"
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_SOF: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SOF_ARITHMETIC: Final = 0xC9
# A block of 64 has a code of a bit at least, that of its mean.
_MOST_PIXELS_A_BYTE: Final = 512
_SOS, _EOI, _APP0, _APP1, _APP14, _COM = 0xDA, 0xD9, 0xE0, 0xE1, 0xEE, 0xFE
# Markers that stand alone, without a length: restarts, start and end of an image, TEM.
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xDA)})
_KEPT_APPS: Final = frozenset({_APP0, _APP14})  # density, and how colours are meant
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegParts:
    """file: what a decoder needs of it. exif, xmp: payloads behind their marks, b"" for none.

    size: width and height. breaks_off: no picture of that size has so few bytes.
    """

    file: bytes
    exif: bytes
    xmp: bytes
    size: tuple[int, int]
    breaks_off: bool


def is_jpeg(data: bytes) -> bool:
    """Whether a file begins as a JPEG does."""
    return data.startswith(b"\xff\xd8\xff")


def jpeg_parts(data: bytes) -> JpegParts:
    """Walk a JPEG file.

    Raises ValueError (it breaks off) or ImageTooLargeError (too many segments or scans).
    """
    kept, payloads = [data[:2]], {_EXIF: b"", _XMP: b""}
    width = height = components = end = 0
    is_huffman = False
    body = b""
    for marker, start, end in _segments(data):
        body = data[start + 2 : end]
        if marker in _SOF and len(body) >= 6:
            height, width = int.from_bytes(body[1:3]), int.from_bytes(body[3:5])
            components, is_huffman = body[5], marker < _SOF_ARITHMETIC
        if marker == _APP1:
            for mark, known in payloads.items():
                if body.startswith(mark) and not known:
                    payloads[mark] = body[len(mark) :]
        if marker in _KEPT_APPS or not (0xE0 <= marker <= 0xEF or marker == _COM):
            kept.append(b"\xff" + bytes([marker]) + data[start:end])
    # The scan's header is the last.
    if not body or body[0] < components or not _is_whole(body):
        _check_scans(data, end, width * height)
    kept.append(data[end:])
    return JpegParts(
        file=b"".join(kept),
        exif=payloads[_EXIF],
        xmp=payloads[_XMP],
        size=(width, height),
        breaks_off=is_huffman and len(data) * _MOST_PIXELS_A_BYTE < width * height,
    )


def scans_allowed(pixels: int) -> int:
    """How many scans a picture of so many pixels may have."""
    return min(MAX_SCANS, MAX_SCANNED_PIXELS // max(1, pixels))


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of those up to the first scan's header, their lengths included."""
    position, count = 2, 0
    while True:
        position, marker = _next_marker(data, position)
        if marker in _ALONE:
            continue
        count += 1
        if count > MAX_SEGMENTS:
            raise ImageTooLargeError(
                f"The JPEG file has more than {MAX_SEGMENTS} segments: save the picture anew."
            )
        end = position + int.from_bytes(data[position : position + 2])
        if not position + 2 <= end <= len(data):
            raise ValueError("a segment breaks off")
        yield marker, position, end
        if marker == _SOS:
            return
        position = end


def _next_marker(data: bytes, position: int) -> tuple[int, int]:
    """Behind the next marker from a position on, junk before it left out, and which it is."""
    while True:
        position = data.find(b"\xff", position)
        while 0 <= position < len(data) and data[position] == 0xFF:
            position += 1
        if not 0 <= position < len(data):
            raise ValueError("it ends before its picture")
        if data[position] != 0:
            return position + 1, data[position]


def _is_whole(scan_header: bytes) -> bool:
    """Whether one scan says all of its components: of all frequencies, in all bits."""
    return scan_header[-3:] == b"\0\x3f\0"


def _check_scans(data: bytes, first_scan: int, pixels: int) -> None:
    allowed = scans_allowed(pixels)
    # Never fewer than there are, and fast: what it counts of other data makes us look again.
    if 1 + data.count(b"\xff\xda", first_scan) <= allowed:
        return
    scans, found = 1, _MARKER.search(data, first_scan)
    while found is not None and data[found.end() - 1] != _EOI:
        scans += data[found.end() - 1] == _SOS
        if scans > allowed:
            raise ImageTooLargeError(
                f"The JPEG file has more than {allowed} scans, which is too many for a picture of "
                "its size: save it anew, not progressive."
            )
        length = 0
        if data[found.end() - 1] not in _ALONE:
            length = int.from_bytes(data[found.end() : found.end() + 2])
        found = _MARKER.search(data, found.end() + length)
