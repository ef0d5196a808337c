"""The size and the frames that a WebP file says, before a decoder makes room for them."""

from typing import Final

from contract.errors import ImageTooLargeError

# Of one file; a still picture has up to six.
MAX_CHUNKS: Final = 1_100
# Of one animation, of which the first is taken.
MAX_FRAMES: Final = 1_000
# EXIF, XMP and a colour profile together.
MAX_BYTES_BESIDE: Final = 4 * 1024 * 1024
_PICTURE: Final = (b"VP8 ", b"VP8L", b"ALPH", b"ANMF")


def is_webp(data: bytes) -> bool:
    """Whether a file begins as a WebP does."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def check_webp(data: bytes) -> None:
    """Raises ImageTooLargeError: too many chunks or frames, or too much beside the picture."""
    position, chunks, frames, beside = 12, 0, 0, 0
    while position + 8 <= len(data):
        kind = data[position : position + 4]
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        chunks += 1
        frames += kind == b"ANMF"
        if kind not in _PICTURE:
            beside += min(length, len(data) - position - 8)
        for found, most, what in (
            (frames, MAX_FRAMES, "frames"),
            (chunks, MAX_CHUNKS, "chunks"),
            (beside, MAX_BYTES_BESIDE, "bytes beside the picture"),
        ):
            if found > most:
                raise ImageTooLargeError(
                    f"The WebP file has more than {most} {what}: save the picture anew, alone."
                )
        position += 8 + length + length % 2


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that the first chunk says; None where it says none."""
    kind, body = data[12:16], data[20:30]
    if kind == b"VP8X" and len(body) == 10:
        return _24_bits(body[4:7]) + 1, _24_bits(body[7:10]) + 1
    if kind == b"VP8L" and len(body) >= 5 and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and len(body) == 10 and body[3:6] == b"\x9d\x01\x2a":
        return (
            int.from_bytes(body[6:8], "little") & 0x3FFF,
            int.from_bytes(body[8:10], "little") & 0x3FFF,
        )
    return None


def _24_bits(three: bytes) -> int:
    return int.from_bytes(three, "little")
