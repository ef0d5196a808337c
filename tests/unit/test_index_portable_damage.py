"""An export file that is not whole: nothing of a broken block is taken, and words say so."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from contract.errors import GalleryError
from index.gallery import Gallery
from index.portable import exporting
from index.portable.blocks import BlockReader
from index.portable.exporting import export_collection
from index.portable.frames import line_of, parsed, unsealed
from index.portable.importing import import_file
from tests.conftest import CONTRACT, UNIT


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An export of three blocks of one subject each."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch, Gallery.open(folder / "g", CONTRACT) as gallery:
        patch.setattr(exporting, "_BLOCK_BYTES", 16)
        for i in range(3):
            gallery.enroll(UNIT[i : i + 1], subject_id=f"s{i}", crops=[b"crop %d" % i])
        list(export_collection(gallery, folder / "x"))
    return (folder / "x").read_bytes()


def subjects_before_the_fault(data: bytes, path: Path) -> list[str]:
    """Who is given out before the file is refused."""
    path.write_bytes(data)
    seen: list[str] = []

    def read(file: BinaryIO) -> None:
        reader = BlockReader(file, name="x")
        for block in reader:
            seen.extend(subject.line.id for subject in reader.read_subjects(block))

    with path.open("rb") as file, pytest.raises(GalleryError):
        read(file)
    return seen


def block_ends(whole: bytes, path: Path) -> list[int]:
    """Where the blocks of a whole file end."""
    path.write_bytes(whole)
    ends = []
    with path.open("rb") as file:
        reader = BlockReader(file, name="x")
        for block in reader:
            reader.read_subjects(block)
            ends.append(block.end)
    assert reader.trailer is not None
    return ends


def test_truncated_at_every_byte(whole: bytes, tmp_path: Path) -> None:
    ends = block_ends(whole, tmp_path / "whole")
    assert len(ends) == 3
    for length in range(len(whole)):
        seen = subjects_before_the_fault(whole[:length], tmp_path / "x")
        assert seen == [f"s{i}" for i, end in enumerate(ends) if end <= length], length


def test_any_changed_byte_is_noticed_before_its_block_is_taken(
    whole: bytes, tmp_path: Path
) -> None:
    ends = block_ends(whole, tmp_path / "whole")
    for at, bit in itertools.product(range(len(whole)), (0x01, 0x80)):
        data = bytearray(whole)
        data[at] ^= bit
        seen = subjects_before_the_fault(bytes(data), tmp_path / "x")
        assert seen == [f"s{i}" for i, end in enumerate(ends) if end <= at], at


def test_blocks_that_are_missing_repeated_or_added_are_noticed(
    whole: bytes, tmp_path: Path
) -> None:
    ends = block_ends(whole, tmp_path / "whole")
    start = whole.index(b"\n") + 1
    parts = [whole[a:b] for a, b in itertools.pairwise([0, start, *ends, len(whole)])]
    header, first, second, third, trailer = parts
    for pieces, seen in (
        ([header, second, third, trailer], []),
        ([header, first, first, second, third, trailer], ["s0"]),
        ([header, first, third, second, trailer], ["s0"]),
        ([header, first, second, trailer], ["s0", "s1"]),
        ([header, first, second, third, trailer, b"x"], ["s0", "s1", "s2"]),
        ([header, first, second, third, trailer, trailer], ["s0", "s1", "s2"]),
    ):
        assert subjects_before_the_fault(b"".join(pieces), tmp_path / "x") == seen


def test_an_import_keeps_the_blocks_before_a_fault_and_says_which(
    whole: bytes, tmp_path: Path
) -> None:
    ends = block_ends(whole, tmp_path / "x")
    with Gallery.open(tmp_path / "g", CONTRACT) as gallery:
        damaged = bytearray(whole)
        damaged[ends[1] - 1] ^= 1
        (tmp_path / "x").write_bytes(damaged)
        with pytest.raises(GalleryError, match=r"Block 1 of .* is damaged"):
            list(import_file(gallery, tmp_path / "x"))
        assert [s.id for s in gallery.subjects(limit=9).subjects] == ["s0"]
        (tmp_path / "x").write_bytes(whole[: ends[1]])
        with pytest.raises(GalleryError, match="breaks off in or after block 1"):
            list(import_file(gallery, tmp_path / "x"))
        assert gallery.subject_count == 2
        (tmp_path / "x").write_bytes(whole)
        blocks = list(import_file(gallery, tmp_path / "x"))
        assert [b.results[0].outcome for b in blocks] == ["unchanged", "unchanged", "new"]
        assert blocks[-1].done_bytes <= blocks[-1].size_bytes == len(whole)


@pytest.mark.parametrize("data", [b"", b"a letter", b"{}\n", b"[1]\n", b"[" * 60_000])
def test_what_is_no_export_is_told_so(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(data)
    with Gallery.open(tmp_path / "g", CONTRACT) as gallery:
        with pytest.raises(GalleryError, match="no export of a gallery"):
            list(import_file(gallery, tmp_path / "x"))
        assert gallery.revision == 0


def header_with(whole: bytes, **changes: object) -> bytes:
    """The file with another header, sealed rightly."""
    from index.portable.frames import _sealed

    line, _, rest = whole.partition(b"\n")
    return _sealed({**unsealed(line + b"\n", where="x"), **changes}) + rest


def test_a_newer_format_is_refused_by_its_version(whole: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(header_with(whole, version=2, more="things"))
    with (
        Gallery.open(tmp_path / "g", CONTRACT) as gallery,
        pytest.raises(GalleryError, match="has format version 2, this OneGlance reads version 1"),
    ):
        list(import_file(gallery, tmp_path / "x"))


def rewritten(whole: bytes, old: bytes, new: bytes) -> Iterator[bytes]:
    """The first block's file with something else in its lines, and checksums that fit."""
    from index.portable.blocks import block_frame
    from index.portable.frames import BlockHead

    start = whole.index(b"\n") + 1
    end = whole.index(b"\n", start) + 1
    head = parsed(BlockHead, unsealed(whole[start:end], where="x"), where="x")
    jsonl = whole[end : end + head.jsonl_bytes].replace(old, new)
    binary = whole[end + head.jsonl_bytes :][: head.binary_bytes]
    assert line_of(head) == whole[start:end]
    yield whole[:start]
    yield block_frame(0, subjects=head.subjects, jsonl=jsonl, binary=binary)
    yield jsonl + binary


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"id":"s0"', b'"id":"../s0"'),
        (b'"name":null', b'"name":"\\u0000"'),
        (b'"name":null', b'"name":7'),
        (b'"metadata":{}', b'"metadata":{"a":NaN}'),
        (b'"metadata":{}', b'"metadata":[]'),
        (b'"expires_at":null', b'"expires_at":"tomorrow"'),
        (b'"expires_at":null', b'"expires_at":"2090-01-01T00:00:00Z"'),
        (b'"crop_bytes":6', b'"crop_bytes":5'),
        (b'"crop_bytes":6', b'"crop_bytes":-6'),
        (b'"consent_ref":null,', b""),
        (b'"consent_ref":null', b'"consent_ref":null,"age":7'),
        (b"\n", b"\n\n"),
        (b"{", b""),
    ],
)
def test_lines_that_no_gallery_wrote_are_refused_though_the_checksum_fits(
    whole: bytes, tmp_path: Path, old: bytes, new: bytes
) -> None:
    (tmp_path / "x").write_bytes(b"".join(rewritten(whole, old, new)))
    with Gallery.open(tmp_path / "g", CONTRACT) as gallery:
        with pytest.raises(GalleryError, match=r"Block 0 .* is not as this OneGlance writes it"):
            list(import_file(gallery, tmp_path / "x"))
        assert gallery.revision == 0
