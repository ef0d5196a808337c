"""Damaged image files, each made again from its number alone."""

import random
import struct
import zlib
from collections.abc import Callable
from typing import Final

from benchmarks.image_seeds import seeds

_NUMBERS: Final = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
_PNG_HEAD: Final = 8


class Mutants:
    """The corpus. The same number gives the same file, whatever was asked for before."""

    def __init__(self) -> None:
        self._seeds = list(seeds().items())

    def make(self, number: int) -> tuple[str, bytes]:
        """What was done, in words, and the file."""
        rng = random.Random(number)
        name, data = rng.choice(self._seeds)
        words = [name]
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            way = rng.choice(_WAYS)
            words.append(way.__name__.strip("_"))
            data = way(data, rng, self._seeds)
        if data.startswith(b"\x89PNG") and rng.random() < 0.7:
            # Else nearly every damaged PNG ends at its checksums.
            words.append("checksums mended")
            data = _with_checksums(data)
        return ", ".join(words), data


Seeds = list[tuple[str, bytes]]


def _bits_flipped(data: bytes, rng: random.Random, _: Seeds) -> bytes:
    changed = bytearray(data)
    for _i in range(min(len(changed), rng.choice((1, 2, 5, 20, 100)))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _head_flipped(data: bytes, rng: random.Random, _: Seeds) -> bytes:
    changed = bytearray(data)
    for _i in range(rng.choice((1, 1, 2, 4))):
        if changed:
            changed[rng.randrange(min(len(changed), 200))] = rng.randrange(256)
    return bytes(changed)


def _cut(data: bytes, rng: random.Random, _: Seeds) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _hole(data: bytes, rng: random.Random, _: Seeds) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.choice((1, 2, 7, 100, 3_000)) :]


def _doubled(data: bytes, rng: random.Random, _: Seeds) -> bytes:
    start = rng.randrange(len(data) + 1)
    end = start + rng.choice((1, 4, 50, 1_000))
    return data[:end] + data[start:end] * rng.choice((1, 2, 30)) + data[end:]


def _filled(data: bytes, rng: random.Random, _: Seeds) -> bytes:
    start, length = rng.randrange(len(data) + 1), rng.choice((1, 8, 200, 2_000))
    value = rng.choice((b"\0", b"\xff", bytes([rng.randrange(256)])))
    return data[:start] + value * len(data[start : start + length]) + data[start + length :]


def _number_written(data: bytes, rng: random.Random, _: Seeds) -> bytes:
    """Sizes, lengths, offsets and counts are two or four bytes somewhere."""
    form = rng.choice((">H", "<H", ">I", "<I"))
    value = rng.choice(_NUMBERS) & (0xFFFF if form[1] == "H" else 0xFFFFFFFF)
    place = rng.randrange(min(len(data), rng.choice((64, 1_000, 1 << 20))) + 1)
    packed = struct.pack(form, value)
    return data[:place] + packed + data[place + len(packed) :]


def _size_written(data: bytes, rng: random.Random, _: Seeds) -> bytes:
    """Another width and height where the format has them."""
    width, height = (rng.choice((0, 1, 3, 17, 200, 3_000, 7_000, 0xFFFF)) for _i in range(2))
    if data.startswith(b"\x89PNG"):
        return data[:16] + struct.pack(">II", width, height) + data[24:]
    for marker in (b"\xff\xc0", b"\xff\xc2"):
        place = data.find(marker)
        if place >= 0:
            return data[: place + 5] + struct.pack(">HH", height, width) + data[place + 9 :]
    return data[:24] + struct.pack("<HH", width & 0x3FFF, height & 0x3FFF) + data[28:]


def _spliced(data: bytes, rng: random.Random, others: Seeds) -> bytes:
    _name, other = rng.choice(others)
    start = rng.randrange(len(other) + 1)
    here = rng.randrange(len(data) + 1)
    return data[:here] + other[start : start + rng.choice((10, 300, 10_000))] + data[here:]


def _crossed(data: bytes, rng: random.Random, others: Seeds) -> bytes:
    _name, other = rng.choice(others)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _metadata_added(data: bytes, rng: random.Random, _: Seeds) -> bytes:
    """EXIF, ICC or text of nonsense, in a part of its own that is well formed."""
    noise = rng.randbytes(rng.choice((0, 1, 9, 400, 60_000)))
    tiff = rng.choice((b"II*\0", b"MM\0*", b"II+\0", b"")) + noise
    if data.startswith(b"\xff\xd8"):
        kind, head = rng.choice(
            (
                (0xE1, b"Exif\0\0"),
                (0xE1, b"http://ns.adobe.com/xap/1.0/\0"),
                (0xE2, b"ICC_PROFILE\0\1\1"),
                (0xE2, b"MPF\0"),
                (0xED, b"Photoshop 3.0\08BIM"),
                (0xEE, b"Adobe"),
                (0xE0, b"JFIF\0"),
                (0xFE, b""),
            )
        )
        body = head + tiff
        return (
            data[:2] + b"\xff" + bytes([kind]) + struct.pack(">H", len(body) + 2) + body + data[2:]
        )
    if data.startswith(b"\x89PNG"):
        kinds = (b"eXIf", b"iCCP", b"tEXt", b"zTXt", b"iTXt", b"gAMA", b"pHYs", b"tRNS", b"acTL")
        body = rng.choice((tiff, b"a\0\0" + zlib.compress(noise)))
        part = struct.pack(">I", len(body)) + rng.choice(kinds) + body + bytes(4)
        return data[:33] + part + data[33:]
    kind_text = rng.choice((b"EXIF", b"ICCP", b"XMP ", b"ANIM", b"ANMF", b"ALPH", b"VP8X"))
    return data + kind_text + struct.pack("<I", len(tiff)) + tiff


def _parts_shuffled(data: bytes, rng: random.Random, _: Seeds) -> bytes:
    """Of a PNG or WebP: its parts in another order, one left out or twice."""
    if data.startswith(b"\x89PNG"):
        head, parts = _PNG_HEAD, _parts(data, _PNG_HEAD, ">I", 12)
    elif data.startswith(b"RIFF"):
        head, parts = 12, _parts(data, 12, "<I", 8)
    else:
        return _doubled(data, rng, _)
    if parts:
        way = rng.randrange(3)
        place = rng.randrange(len(parts))
        if way == 0:
            rng.shuffle(parts)
        elif way == 1:
            del parts[place]
        else:
            parts.insert(place, parts[place])
    return data[:head] + b"".join(parts)


def _parts(data: bytes, position: int, form: str, frame: int) -> list[bytes]:
    found = []
    while position + 8 <= len(data) and len(found) < 1_000:
        start = position if form == ">I" else position + 4
        (length,) = struct.unpack(form, data[start : start + 4])
        end = position + frame + length + (length % 2 if form == "<I" else 0)
        found.append(data[position:end])
        position = end
    return found


def _with_checksums(data: bytes) -> bytes:
    mended = []
    for part in _parts(data, _PNG_HEAD, ">I", 12):
        mended.append(part[:-4] + struct.pack(">I", zlib.crc32(part[4:-4])))
    return data[:_PNG_HEAD] + b"".join(mended)


_WAYS: Final[tuple[Callable[[bytes, random.Random, Seeds], bytes], ...]] = (
    _bits_flipped,
    _head_flipped,
    _cut,
    _hole,
    _doubled,
    _filled,
    _number_written,
    _size_written,
    _spliced,
    _crossed,
    _metadata_added,
    _parts_shuffled,
)
