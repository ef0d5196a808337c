"""Of EXIF, or of XMP, the one field that pixels need: which way up the picture is.

A whole EXIF block is never read: its entries may all claim the same megabytes as their own.
"""

import re
from typing import Final, Literal

UPRIGHT: Final = 1
_TAG, _SHORT = 274, 3  # EXIF 2.3
_XMP: Final = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_ENTRY_BYTES: Final = 12
# Of a directory that are looked at; cameras write some tens.
_MAX_ENTRIES: Final = 1_000


def orientation_of(exif: bytes, xmp: bytes) -> int:
    """What EXIF says, or else XMP; UPRIGHT where both say nothing that can be read."""
    said = _of_exif(exif)
    if said is None and (found := _XMP.search(xmp)):
        said = int(found[1])
    return UPRIGHT if said is None else said


def _of_exif(exif: bytes) -> int | None:
    """Of a TIFF structure, behind any b"Exif\\0\\0", what its first directory says."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = _order(tiff)
    if order is None:
        return None
    first = int.from_bytes(tiff[4:8], order)
    count = int.from_bytes(tiff[first : first + 2], order)
    for place in range(min(count, _MAX_ENTRIES)):
        start = first + 2 + place * _ENTRY_BYTES
        entry = tiff[start : start + _ENTRY_BYTES]
        if len(entry) < _ENTRY_BYTES:
            break
        if int.from_bytes(entry[:2], order) == _TAG:
            is_one = int.from_bytes(entry[4:8], order) == 1
            is_short = int.from_bytes(entry[2:4], order) == _SHORT
            return int.from_bytes(entry[8:10], order) if is_one and is_short else None
    return None


def _order(tiff: bytes) -> Literal["little", "big"] | None:
    if tiff[:4] == b"II*\0":
        return "little"
    return "big" if tiff[:4] == b"MM\0*" else None
