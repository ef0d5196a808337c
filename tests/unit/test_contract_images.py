"""Bytes to upright RGB: every mode that a phone or a scanner writes, and every refusal."""

import functools
import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from contract.errors import (
    DamagedImageError,
    EmptyFileError,
    ImageError,
    ImageTooLargeError,
    NotAnImageError,
)
from contract.images import DEFAULT_LIMITS, ImageLimits, decode_image, decode_reduced

CHECKED = settings(derandomize=True, database=None, max_examples=60, deadline=None)
FORMATS = ["JPEG", "PNG", "WEBP"]
ORIENTATION = 0x0112

Pixels = npt.NDArray[np.uint8]

# Pillow tells by a warning which part of an EXIF block it skips; elsewhere warnings are errors.
skipped_exif_is_warned_of = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def picture(height: int = 24, width: int = 40) -> Pixels:
    """Smooth and without any symmetry, so that lossy codecs keep it and turns show."""
    y, x = np.mgrid[0:height, 0:width]
    channels = [40 + 200 * x / width, 220 - 180 * y / height, 30 + 150 * x * y / (width * height)]
    return np.stack(channels, axis=2).astype(np.uint8)


def photo(file_format: str, **options: object) -> bytes:
    return encoded(Image.fromarray(picture()), file_format, quality=95, **options)


@functools.cache
def many_zeros() -> bytes:
    """100 kB of zlib that unpack to 100 MB."""
    return zlib.compress(bytes(100_000_000), 6)


def png_of_zeros(width: int, height: int) -> bytes:
    """A PNG that says how large it is; black as far as 100 kB of zlib reach."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", many_zeros())
        + chunk(b"IEND", b"")
    )


# --- pixels ---


def test_png_gives_the_very_pixels() -> None:
    found = decode_image(photo("PNG"))
    assert found.dtype == np.uint8
    assert np.array_equal(found, picture())


def test_lossless_webp_gives_the_very_pixels() -> None:
    data = encoded(Image.fromarray(picture()), "WEBP", lossless=True)
    assert np.array_equal(decode_image(data), picture())


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP"])
def test_lossy_formats_give_nearly_the_pixels_in_rgb_order(file_format: str) -> None:
    found = decode_image(photo(file_format)).astype(int)
    assert np.abs(found - picture()).mean() < 3


def test_progressive_jpeg_equals_the_sequential_one() -> None:
    assert np.array_equal(
        decode_image(photo("JPEG", progressive=True)), decode_image(photo("JPEG"))
    )


def test_jpeg_of_a_phone_with_a_second_picture_behind_gives_the_first() -> None:
    first, second = Image.fromarray(picture()), Image.new("RGB", (40, 24), "red")
    data = encoded(first, "MPO", save_all=True, append_images=[second], quality=95)
    assert np.abs(decode_image(data).astype(int) - picture()).mean() < 3


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_picture_of_one_pixel_decodes(file_format: str) -> None:
    data = encoded(Image.new("RGB", (1, 1), (200, 100, 50)), file_format, quality=100)
    found = decode_image(data)
    assert found.shape == (1, 1, 3)
    assert np.abs(found[0, 0].astype(int) - [200, 100, 50]).max() <= 4


def test_grey_becomes_three_equal_channels() -> None:
    grey = picture()[:, :, 0]
    found = decode_image(encoded(Image.fromarray(grey), "PNG"))
    assert np.array_equal(found, np.stack([grey] * 3, axis=2))


def test_one_bit_becomes_black_and_white() -> None:
    bits = np.array([[0, 255, 0], [255, 255, 0]], dtype=np.uint8)
    found = decode_image(encoded(Image.fromarray(bits).convert("1"), "PNG"))
    assert np.array_equal(found, np.stack([bits] * 3, axis=2))


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    values = np.array([[0, 257, 256 * 100 + 100, 33000, 65535]], dtype=np.uint16)
    data = encoded(Image.fromarray(values), "PNG")
    assert data[24] == 16  # bit depth in IHDR: the test makes what it means to make
    assert decode_image(data)[0, :, 1].tolist() == [0, 1, 100, 128, 255]


def test_palette_gives_its_colours() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([2, 0, 1])
    found = decode_image(encoded(image, "PNG"))
    assert found[0].tolist() == [[0, 0, 255], [255, 0, 0], [0, 255, 0]]


def test_transparent_palette_colour_becomes_white() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([2, 0, 1])
    found = decode_image(encoded(image, "PNG", transparency=0))
    assert found[0].tolist() == [[0, 0, 255], [255, 255, 255], [0, 255, 0]]


def test_transparent_grey_value_becomes_white() -> None:
    grey = Image.fromarray(np.array([[10, 20, 30]], dtype=np.uint8))
    assert decode_image(encoded(grey, "PNG", transparency=20))[0, :, 0].tolist() == [10, 255, 30]


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_alpha_is_laid_on_white(file_format: str) -> None:
    rgba = np.array(
        [[[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 51]]], dtype=np.uint8
    )  # 51 / 255 = a fifth
    data = encoded(Image.fromarray(rgba), file_format, lossless=True, exact=True)
    expected = np.array([[200, 100, 0], [255, 255, 255], [244, 224, 204]])
    assert np.abs(decode_image(data)[0].astype(int) - expected).max() <= 1


def test_grey_with_alpha_is_laid_on_white() -> None:
    grey_alpha = np.array([[[80, 255], [80, 0]]], dtype=np.uint8)
    found = decode_image(encoded(Image.fromarray(grey_alpha, "LA"), "PNG"))
    assert found[0].tolist() == [[80, 80, 80], [255, 255, 255]]


def test_cmyk_jpeg_becomes_rgb() -> None:
    cyan_and_half_black = np.zeros((8, 16, 4), dtype=np.uint8)
    cyan_and_half_black[:, :8, 0] = 255
    cyan_and_half_black[:, 8:, 3] = 128
    image = Image.fromarray(cyan_and_half_black, "CMYK")
    found = decode_image(encoded(image, "JPEG", quality=100, subsampling=0)).astype(int)
    assert np.abs(found[4, 2] - [0, 255, 255]).max() <= 6
    assert np.abs(found[4, 13] - [127, 127, 127]).max() <= 6


def test_animated_webp_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("blue", "red")]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert b"ANIM" in data
    assert (decode_image(data) == [0, 0, 255]).all()


# --- orientation ---

# What each orientation says was done to the upright picture (EXIF 2.3, tag 274), undone.
STORED_AS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
@pytest.mark.parametrize("orientation", STORED_AS)
def test_every_orientation_gives_the_upright_picture(orientation: int, file_format: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED_AS[orientation](picture())))
    data = encoded(stored, file_format, exif=exif, lossless=True)
    assert np.array_equal(decode_image(data), picture())


@pytest.mark.parametrize("orientation", STORED_AS)
def test_every_orientation_of_a_jpeg_gives_the_upright_picture(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED_AS[orientation](picture())))
    found = decode_image(encoded(stored, "JPEG", exif=exif, quality=95))
    assert found.shape == picture().shape
    assert np.abs(found.astype(int) - picture()).mean() < 3


# --- fewer pixels ---


@pytest.mark.parametrize(
    ("longest_px", "size"),
    [(401, (800, 480)), (400, (400, 240)), (201, (400, 240)), (200, (200, 120)), (1, (100, 60))],
)
def test_a_jpeg_is_decoded_at_a_share_of_its_sides_that_keeps_what_is_asked(
    longest_px: int, size: tuple[int, int]
) -> None:
    data = encoded(Image.fromarray(picture(480, 800)), "JPEG", quality=95)
    found = decode_reduced(data, DEFAULT_LIMITS, longest_px=longest_px)
    assert (found.pixels.shape[1], found.pixels.shape[0]) == size
    assert (found.width, found.height) == (800, 480)
    expected = Image.fromarray(picture(480, 800)).resize(size, Image.Resampling.BOX)
    assert np.abs(found.pixels.astype(int) - np.asarray(expected)).mean() < 3


@pytest.mark.parametrize("orientation", STORED_AS)
# Of the second size an eighth is square though the whole is not.
@pytest.mark.parametrize("size", [(480, 800), (999, 1000)])
def test_a_reduced_jpeg_is_upright_and_knows_the_upright_size(
    orientation: int, size: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    height, width = size
    stored = Image.fromarray(np.ascontiguousarray(STORED_AS[orientation](picture(height, width))))
    data = encoded(stored, "JPEG", exif=exif, quality=95)
    found = decode_reduced(data, DEFAULT_LIMITS, longest_px=100)
    assert (found.width, found.height) == (width, height)
    small = (found.pixels.shape[1], found.pixels.shape[0])
    expected = Image.fromarray(picture(height, width)).resize(small, Image.Resampling.BOX)
    assert np.abs(found.pixels.astype(int) - np.asarray(expected)).mean() < 4


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_other_formats_are_decoded_whole(file_format: str) -> None:
    found = decode_reduced(photo(file_format), DEFAULT_LIMITS, longest_px=5)
    assert np.array_equal(found.pixels, decode_image(photo(file_format)))


def test_a_broken_off_jpeg_is_refused_at_fewer_pixels_too() -> None:
    data = encoded(Image.fromarray(picture(480, 800)), "JPEG")
    with pytest.raises(DamagedImageError):
        decode_reduced(data[: len(data) // 2], DEFAULT_LIMITS, longest_px=100)


def test_orientation_turns_sixteen_bit_grey_too() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    values = np.array([[0, 257], [514, 771]], dtype=np.uint16)
    found = decode_image(encoded(Image.fromarray(values), "PNG", exif=exif))
    assert found[:, :, 0].tolist() == [[2, 0], [3, 1]]


@skipped_exif_is_warned_of
@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0nonsense", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff"]
)
def test_unreadable_exif_leaves_the_picture_as_it_is(file_format: str, exif: bytes) -> None:
    found = decode_image(photo(file_format, exif=exif))
    assert np.array_equal(found, decode_image(photo(file_format)))


@skipped_exif_is_warned_of
@CHECKED
@given(st.lists(st.tuples(st.integers(14, 200), st.integers(0, 255)), min_size=1, max_size=4))
def test_odd_exif_never_costs_the_picture(changes: list[tuple[int, int]]) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x010F], exif[0x011A] = 6, "maker", 72.0
    exif.get_ifd(0x8769)[0x9000] = b"0230"
    exif.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
    raw = bytearray(exif.tobytes())
    for place, value in changes:
        raw[place % (len(raw) - 14) + 14] = value
    assert decode_image(photo("JPEG", exif=bytes(raw))).size == picture().size


# --- refusals ---


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(EmptyFileError, match="empty"):
        decode_image(b"")


@pytest.mark.parametrize(
    "data",
    [b"Hello, I am a photo.\n", b"\0" * 64, b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\xff"],
    ids=["text", "zeros", "svg", "one byte"],
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(NotAnImageError) as caught:
        decode_image(data)
    assert caught.value.reason == "not_an_image"


@pytest.mark.parametrize("file_format", ["GIF", "BMP", "TIFF", "ICO", "PPM"])
def test_other_formats_are_refused(file_format: str) -> None:
    with pytest.raises(NotAnImageError, match="convert it"):
        decode_image(encoded(Image.fromarray(picture()), file_format))


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_file_that_breaks_off_is_refused(file_format: str, share: float) -> None:
    rng = np.random.default_rng(0)
    data = encoded(Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)), file_format)
    with pytest.raises(DamagedImageError, match="complete"):
        decode_image(data[: int(len(data) * share)])


@pytest.mark.parametrize("file_format", FORMATS)
def test_only_the_first_bytes_of_a_file_are_refused(file_format: str) -> None:
    with pytest.raises(NotAnImageError):
        decode_image(photo(file_format)[:20])


def test_the_limit_of_bytes_is_exact() -> None:
    data = photo("PNG")
    decode_image(data, ImageLimits(max_bytes=len(data)))
    with pytest.raises(ImageTooLargeError, match=str(len(data))) as caught:
        decode_image(data, ImageLimits(max_bytes=len(data) - 1))
    assert caught.value.reason == "image_too_large"


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_limit_of_pixels_is_exact(file_format: str) -> None:
    data = photo(file_format)
    decode_image(data, ImageLimits(max_pixels=24 * 40))
    with pytest.raises(ImageTooLargeError, match="959"):
        decode_image(data, ImageLimits(max_pixels=24 * 40 - 1))


def test_a_broken_off_file_of_too_many_pixels_is_too_large_because_pixels_come_later() -> None:
    data = photo("PNG")
    with pytest.raises(ImageTooLargeError):
        decode_image(data[: len(data) // 2], ImageLimits(max_pixels=100))


@pytest.mark.parametrize("bad", [{"max_bytes": 0}, {"max_pixels": 0}, {"max_pixels": -1}])
def test_limits_must_be_positive(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        ImageLimits(**bad)


REFUSE_UNDER_A_CEILING = """
import resource, sys
from contract.errors import ImageTooLargeError
from contract.images import decode_image
data = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode_image(data)
except ImageTooLargeError:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def huge_webp() -> bytes:
    """A one-pixel lossless WebP whose header says 16,383 x 16,383, the most that WebP can say."""
    data = bytearray(encoded(Image.new("RGB", (1, 1)), "WEBP", lossless=True))
    at = data.index(b"VP8L") + 9
    (bits,) = struct.unpack("<I", data[at : at + 4])
    data[at : at + 4] = struct.pack("<I", bits & ~0xFFFFFFF | 16382 | 16382 << 14)
    return bytes(data)


@pytest.mark.parametrize("bomb", ["30000", "9000", "webp"])
def test_a_small_file_of_huge_size_is_refused_without_its_memory(bomb: str) -> None:
    """9,000 x 9,000 lies under the limit where Pillow itself would refuse; ours has to."""
    data = huge_webp() if bomb == "webp" else png_of_zeros(int(bomb), int(bomb))
    assert len(data) < 110_000
    done = subprocess.run(
        [sys.executable, "-c", REFUSE_UNDER_A_CEILING], input=data, capture_output=True, check=True
    )
    # The pixels would take 230 MB at the least; ru_maxrss is in KiB.
    assert int(done.stdout) < 20 * 1024


@pytest.mark.parametrize("file_format", FORMATS)
def test_damaged_files_decode_or_raise_our_error_and_nothing_else(file_format: str) -> None:
    data = photo(file_format)
    rng = np.random.default_rng(7)
    refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 6)):
            damaged[place] = rng.integers(0, 256)
        cut = len(data) if rng.random() < 0.7 else int(rng.integers(1, len(data)))
        try:
            found = decode_image(bytes(damaged[:cut]), ImageLimits(max_pixels=1_000_000))
        except ImageError:
            refused += 1
        else:
            assert found.ndim == 3
            assert found.dtype == np.uint8
    assert refused > 30  # the damage is real
