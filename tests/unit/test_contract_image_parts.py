"""What of an image file is looked at before a decoder is: parts, scans, frames, texts."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.image_bombs import bombs, chunk, loaded, segment
from benchmarks.image_mutations import Mutants
from benchmarks.pictures import encoded, landscape
from contract.errors import DamagedImageError, ImageError, ImageTooLargeError
from contract.images import decode_image
from contract.jpeg_parts import MAX_SCANS, MAX_SEGMENTS, jpeg_parts, scans_allowed
from contract.orientation import orientation_of
from contract.png_parts import MAX_CHUNKS, MAX_FRAMES, MAX_TEXTS

WIDTH, HEIGHT = 40, 24


def made(file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(landscape(WIDTH, HEIGHT)).save(buffer, file_format, **options)
    return buffer.getvalue()


def with_segments(jpeg: bytes, count: int) -> bytes:
    return jpeg[:2] + segment(0xE5, b"x") * count + jpeg[2:]


def segments_before_scan(jpeg: bytes) -> int:
    """That of the scan included."""
    position, count = 2, 0
    while True:
        count += 1
        if jpeg[position + 1] == 0xDA:
            return count
        position += 2 + struct.unpack(">H", jpeg[position + 2 : position + 4])[0]


def with_chunks(png: bytes, chunks: bytes) -> bytes:
    return png[:33] + chunks + png[33:]


def with_scans(count: int) -> bytes:
    """A progressive JPEG of so many scans, the last one again and again."""
    jpeg = made("JPEG", progressive=True)
    there = jpeg.count(b"\xff\xda")
    start = jpeg.rfind(b"\xff\xda")
    return jpeg[:start] + jpeg[start:-2] * (count - there + 1) + jpeg[-2:]


@pytest.mark.parametrize("name", bombs())
def test_every_bomb_is_refused(name: str) -> None:
    with pytest.raises(ImageError):
        decode_image(bombs()[name])


@pytest.mark.parametrize("name", loaded())
def test_what_a_file_says_of_itself_costs_no_picture(name: str) -> None:
    kind = name.split()[0].upper()
    plain = decode_image(encoded(landscape(64, 48), kind))
    assert (decode_image(loaded()[name]) == plain).all()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_files_of_every_kind_decode_or_are_refused() -> None:
    mutants = Mutants()
    for number in range(400):
        try:
            decode_image(mutants.make(number)[1])
        except ImageError:
            continue


def test_a_damaged_file_is_made_by_its_number_alone() -> None:
    first, second = Mutants(), Mutants()
    later = [second.make(number) for number in (9, 3, 7)][2]
    assert first.make(7) == later


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_a_decoder_gets_the_same_picture_without_what_is_said_of_it(options: Any) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    jpeg = made("JPEG", exif=exif, icc_profile=bytes(5000), comment=b"words", **options)
    parts = jpeg_parts(jpeg)
    assert (np.asarray(Image.open(io.BytesIO(parts.file))) == Image.open(io.BytesIO(jpeg))).all()
    assert len(parts.file) < len(jpeg) - 5000
    assert b"maker" in parts.exif


def test_junk_between_segments_is_left_out_as_decoders_do() -> None:
    jpeg = made("JPEG")
    place = 4 + struct.unpack(">H", jpeg[4:6])[0]
    odd = jpeg[:place] + b"\x12\x34\xff\x00\xff\xff" + jpeg[place:]
    assert (decode_image(odd) == decode_image(jpeg)).all()


def test_as_many_segments_as_allowed_and_not_one_more() -> None:
    jpeg = made("JPEG")
    room = MAX_SEGMENTS - segments_before_scan(jpeg)
    assert (decode_image(with_segments(jpeg, room)) == decode_image(jpeg)).all()
    with pytest.raises(ImageTooLargeError, match="segments"):
        decode_image(with_segments(jpeg, room + 1))


def test_as_many_scans_as_allowed_and_not_one_more() -> None:
    assert decode_image(with_scans(MAX_SCANS)).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(ImageTooLargeError, match="scans"):
        decode_image(with_scans(MAX_SCANS + 1))


def test_a_larger_picture_may_have_fewer_scans() -> None:
    assert scans_allowed(1) == scans_allowed(10_000_000) == MAX_SCANS
    assert scans_allowed(50_000_000) == 20


@pytest.mark.parametrize("hide", [b"\xff\x01", b"\xff\xd8"])
def test_scans_do_not_hide_behind_a_marker_without_a_length(hide: bytes) -> None:
    jpeg = with_scans(MAX_SCANS + 50)
    second = jpeg.find(b"\xff\xda", jpeg.find(b"\xff\xda") + 2)
    with pytest.raises(ImageTooLargeError, match="scans"):
        decode_image(jpeg[:second] + hide + jpeg[second:])


def test_a_film_behind_the_picture_is_no_scan() -> None:
    jpeg = made("JPEG", progressive=True)
    film = b"\xff\xda\x00\x08" * 1_000
    assert (decode_image(jpeg + film) == decode_image(jpeg)).all()


@pytest.mark.parametrize(
    ("chunks", "word"),
    [
        (lambda n: chunk(b"prVt", b"") * n, "chunks"),
        (lambda n: chunk(b"tEXt", b"a\0b") * n, "texts"),
        (lambda n: chunk(b"acTL", struct.pack(">II", n, 0)), "frames"),
    ],
)
def test_as_much_beside_a_png_as_allowed_and_not_more(
    chunks: Callable[[int], bytes], word: str
) -> None:
    png = made("PNG")
    # Beside those of the picture: IHDR and IDAT.
    most = {"chunks": MAX_CHUNKS - 2, "texts": MAX_TEXTS, "frames": MAX_FRAMES}[word]
    assert (decode_image(with_chunks(png, chunks(most))) == landscape(WIDTH, HEIGHT)).all()
    with pytest.raises(ImageTooLargeError, match=word):
        decode_image(with_chunks(png, chunks(most + 1)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_the_most_compressed_picture_is_not_taken_for_a_broken_one(mode: str) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (3_000, 2_000)).save(buffer, "PNG", compress_level=9)
    assert decode_image(buffer.getvalue()).shape == (2_000, 3_000, 3)


def test_a_png_of_fewer_bytes_than_its_size_can_have_is_damaged() -> None:
    header = struct.pack(">IIBBBBB", 6_000, 6_000, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    with pytest.raises(DamagedImageError):
        decode_image(b"\x89PNG\r\n\x1a\n" + parts)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True, "quality": 1}])
def test_the_most_compressed_jpeg_is_not_taken_for_a_broken_one(options: Any) -> None:
    buffer = io.BytesIO()
    Image.new("L", (4_000, 3_000)).save(buffer, "JPEG", **options)
    assert decode_image(buffer.getvalue()).shape == (3_000, 4_000, 3)


def test_a_jpeg_of_fewer_bytes_than_its_size_can_have_is_damaged() -> None:
    jpeg = made("JPEG")
    place = jpeg.index(b"\xff\xc0") + 5
    with pytest.raises(DamagedImageError) as caught:
        decode_image(jpeg[:place] + struct.pack(">HH", 6_000, 6_000) + jpeg[place + 4 :])
    assert "fewer bytes" in str(caught.value.__cause__)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_what_pillow_reads(orientation: int, order: str) -> None:
    exif = Image.Exif()
    exif.endian = order
    exif[0x010F], exif[0x0112] = "maker", orientation
    raw = exif.tobytes()
    again = Image.Exif()
    again.load(raw)
    assert orientation_of(raw, b"") == again[0x0112] == orientation


@pytest.mark.parametrize(
    "exif", [b"", b"II*\0", b"II*\0\xff\xff\xff\x7f", b"MM\0*\0\0\0\x08\xff\xff"]
)
def test_exif_without_an_orientation_leaves_it_to_xmp(exif: bytes) -> None:
    assert orientation_of(exif, b"") == 1
    assert orientation_of(exif, b'<rdf:Description tiff:Orientation="6"/>') == 6
    assert orientation_of(exif, b"<tiff:Orientation>8</tiff:Orientation>") == 8


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_xmp_turns_a_picture_that_has_no_exif(file_format: str) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    if file_format == "PNG":
        data = with_chunks(made("PNG"), chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    else:
        data = made(file_format, xmp=xmp)
    assert decode_image(data).shape == (WIDTH, HEIGHT, 3)
