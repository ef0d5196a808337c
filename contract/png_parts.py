"""Whether a PNG file's parts can be read at all, before they are: their number, texts, frames.

Texts and profiles in a PNG are compressed, a thousandfold if they are made so.
"""

from typing import Final

from contract.errors import ImageTooLargeError

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
# Of one file. Encoders cut the picture into pieces of 8 KiB or more.
MAX_CHUNKS: Final = 10_000
# Of one file: Pillow inflates each to 1 MB at most.
MAX_TEXTS: Final = 16
# Of one animation, of which the first is taken.
MAX_FRAMES: Final = 1_000
# Texts, EXIF and a colour profile together.
MAX_BYTES_BESIDE: Final = 4 * 1024 * 1024
# Of deflate: no byte of a file can become more of its picture.
_MOST_INFLATED: Final = 1_032
_SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # a pixel, by colour type


def is_png(data: bytes) -> bool:
    """Whether a file begins as a PNG does."""
    return data.startswith(_SIGNATURE)


def check_png(data: bytes) -> None:
    """Raises ValueError (fewer bytes than a picture of its size has at least) or
    ImageTooLargeError (too many chunks, texts or frames, or too much beside the picture)."""
    position, chunks, texts, packed, beside = len(_SIGNATURE), 0, 0, 0, 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 4])
        kind, body = data[position + 4 : position + 8], position + 8
        if kind == b"IEND":
            break
        chunks += 1
        texts += kind in (b"tEXt", b"zTXt", b"iTXt")
        there = max(0, min(length, len(data) - body))
        if kind == b"IDAT":
            packed += there
        elif kind != b"fdAT":
            beside += there
        frames = int.from_bytes(data[body : body + 4]) if kind == b"acTL" else 0
        for found, most, what in (
            (chunks, MAX_CHUNKS, "chunks"),
            (texts, MAX_TEXTS, "texts"),
            (frames, MAX_FRAMES, "frames"),
            (beside, MAX_BYTES_BESIDE, "bytes beside the picture"),
        ):
            if found > most:
                raise ImageTooLargeError(
                    f"The PNG file has more than {most} {what}: save the picture anew, alone."
                )
        position = body + length + 4
    if packed * _MOST_INFLATED < _picture_bytes(data):
        raise ValueError("fewer bytes than a picture of its size has at least")


def png_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that the header says; None where there is none."""
    if data[12:16] != b"IHDR" or len(data) < 29:
        return None
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def _picture_bytes(data: bytes) -> int:
    """Of the picture that the header says, unpacked; 0 where it says none."""
    size = png_size(data)
    if size is None or data[25] not in _SAMPLES:
        return 0
    bits, samples = data[24], _SAMPLES[data[25]]
    return size[1] * ((size[0] * bits * samples + 7) // 8)
