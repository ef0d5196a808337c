"""What a pack is made of: every image used, or listed with its reason."""

import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.source_files import folder_of
from tests.unit.training_prepare.conftest import (
    ALIGNED,
    FILES,
    PATHS,
    aligned,
    both,
    crop,
    png,
    zip_of,
)
from training.cli import main
from training.data.pack import Pack, open_pack
from training.data.prepare import PrepareConfig, prepare
from training.data.sources.base import SourceError

Make = Callable[[Path, dict[str, bytes]], Path]


def seeds_of(pack: Pack) -> list[int]:
    """The seed of each crop in the pack: which picture went where."""
    return [
        next(seed for seed in range(99) if np.array_equal(image, crop(seed)))
        for image in pack.images
    ]


@both
@pytest.mark.parametrize("workers", [1, 2])
def test_a_zip_and_a_folder_give_the_same_pack(tmp_path: Path, make: Make, workers: int) -> None:
    source = make(tmp_path / "source", FILES)
    index = aligned(source, tmp_path / "pack", workers=workers)
    pack = open_pack(tmp_path / "pack")
    assert pack.index == index
    assert index.paths == PATHS
    assert index.identities == ("set/Ada", "set/Zoë Šķēle", "set/林")
    assert index.labels == (0, 0, 1, 2)
    assert index.splits == ("train",) * 4
    assert index.unused == ()
    assert index.source == "source"
    assert index.alignment == "five_point_112"
    assert pack.images.shape == (4, 112, 112, 3)
    assert seeds_of(pack) == [0, 1, 3, 2]
    assert sorted(os.listdir(tmp_path / "pack")) == ["images.npy", "index.json"]


def test_what_cannot_be_used_is_listed_with_its_reason(tmp_path: Path) -> None:
    files = {
        **FILES,
        "set/Ada/large.png": png(crop(0, side=113)),
        "set/Ada/half.png": png(crop(1))[:500],
        "set/Ada/text.jpg": b"not a picture",
        "set/Ada/empty.webp": b"",
        "set/Ada/scan.TIFF": b"II*",
        "nobody.png": png(crop(5)),
    }
    index = aligned(folder_of(tmp_path / "source", files), tmp_path / "pack")
    assert index.paths == PATHS
    reasons = dict(index.unused)
    assert list(reasons) == sorted(files.keys() - {*PATHS, "set/readme.txt"})
    assert "113 x 113 pixels, an aligned crop has 112 x 112" in reasons["set/Ada/large.png"]
    assert "damaged" in reasons["set/Ada/half.png"]
    assert "not a JPEG" in reasons["set/Ada/text.jpg"]
    assert "empty" in reasons["set/Ada/empty.webp"]
    assert "not a JPEG, PNG or WebP" in reasons["set/Ada/scan.TIFF"]
    assert "lies in no folder" in reasons["nobody.png"]
    assert open_pack(tmp_path / "pack").index.unused == index.unused


def test_a_member_that_the_zip_itself_has_damaged_is_listed_too(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "source.zip", FILES)
    data = bytearray(source.read_bytes())
    at = data.index(png(crop(2))) + 50  # stored as it is: only the zip's own checksum tells
    data[at] ^= 0xFF
    source.write_bytes(data)
    ((path, reason),) = aligned(source, tmp_path / "pack").unused
    assert path == "set/林/a.png"
    assert "cannot be read" in reason


@both
def test_pairs_of_a_protocol_are_copied(tmp_path: Path, make: Make) -> None:
    source = make(tmp_path / "source", {**FILES, "set/pairs.txt": b"10\t300\n"})
    aligned(source, tmp_path / "pack")
    assert (tmp_path / "pack" / "pairs.txt").read_bytes() == b"10\t300\n"
    aligned(make(tmp_path / "other", FILES), tmp_path / "pack")
    assert not (tmp_path / "pack" / "pairs.txt").exists()


@both
def test_a_source_without_images_is_refused(tmp_path: Path, make: Make) -> None:
    source = make(tmp_path / "source", {"notes.txt": b"hello"})
    with pytest.raises(SourceError, match="holds no"):
        aligned(source, tmp_path / "pack")


def test_a_source_of_unusable_images_alone_is_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", {"a/1.png": b"x", "a/2.png": b"y"})
    for config in (ALIGNED, PrepareConfig(kind="images")):
        with pytest.raises(SourceError, match=r"None of the 2 images.* a/1\.png: .* not a JPEG"):
            prepare(source, tmp_path / "pack", config)
    assert not (tmp_path / "pack").exists()


def test_images_that_lie_in_no_folder_are_nobodys(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", {"1.png": png(crop(0))})
    with pytest.raises(SourceError, match="lie in no folder"):
        aligned(source, tmp_path / "pack")


@pytest.mark.parametrize("data", [b"", b"this is no zip"])
def test_a_file_that_is_no_zip_is_refused(tmp_path: Path, data: bytes) -> None:
    for name in ("source.zip", "source.tar.gz"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(SourceError, match="neither a folder nor a readable zip"):
            aligned(tmp_path / name, tmp_path / "pack")


def test_a_source_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="neither a folder"):
        aligned(tmp_path / "nowhere", tmp_path / "pack")


# --- names ---


NFC, NFD = "Zoë", "Zoe\u0308"


@both
def test_two_spellings_of_one_name_are_one_identity(tmp_path: Path, make: Make) -> None:
    source = make(
        tmp_path / "source",
        {f"{NFC}/1.png": png(crop(1)), f"{NFD}/2.png": png(crop(2)), "B/3.png": png(crop(3))},
    )
    index = aligned(source, tmp_path / "pack")
    assert index.paths == ("B/3.png", f"{NFC}/1.png", f"{NFC}/2.png")
    assert index.identities == ("B", NFC)
    assert seeds_of(open_pack(tmp_path / "pack")) == [3, 1, 2]


@both
def test_of_two_files_that_unicode_makes_one_name_the_second_is_listed(
    tmp_path: Path, make: Make
) -> None:
    source = make(tmp_path / "source", {f"{NFC}/1.png": png(crop(1)), f"{NFD}/1.png": png(crop(2))})
    index = aligned(source, tmp_path / "pack")
    assert index.paths == (f"{NFC}/1.png",)
    ((path, reason),) = index.unused
    assert path == f"{NFC}/1.png"
    assert "another file has this name" in reason


def test_of_a_name_that_a_zip_has_twice_the_last_file_counts(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's own, as it writes
        with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
            for seed in (1, 2):
                archive.writestr("a/0.png", png(crop(seed)))
    index = aligned(tmp_path / "s.zip", tmp_path / "pack")
    assert index.paths == ("a/0.png",)
    assert index.unused == (("a/0.png", "is in the zip 2 times: the last one was taken"),)
    assert seeds_of(open_pack(tmp_path / "pack")) == [2]


def test_backslashes_of_a_zip_are_folders(tmp_path: Path) -> None:
    index = aligned(zip_of(tmp_path / "s.zip", {"set\\Ada\\0.png": png(crop(0))}), tmp_path / "p")
    assert index.identities == ("set/Ada",)


def test_a_name_that_is_no_text_is_listed_and_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder_of(tmp_path / "source", {"a/0.png": png(crop(0))})
    with open(os.fsencode(tmp_path) + b"/source/a/\xff.png", "wb") as file:
        file.write(png(crop(1)))
    assert (
        main(["prepare", str(tmp_path / "source"), "--out", str(tmp_path / "p"), "--aligned"]) == 0
    )
    assert "a/\\udcff.png: its name is not valid Unicode" in capsys.readouterr().out
    assert open_pack(tmp_path / "p").index.paths == ("a/0.png",)


def test_empty_folders_links_and_folders_that_cannot_be_read_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_of(tmp_path / "source", {"a/0.png": png(crop(0)), "locked/1.png": b""})
    (source / "nobody").mkdir()
    (source / "loop").symlink_to(source)
    (source / "a" / "gone.png").symlink_to(source / "nothing")
    scandir = os.scandir

    def locked(path: Any) -> Any:  # chmod would not stop root
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    reasons = dict(aligned(source, tmp_path / "pack").unused)
    assert reasons.keys() == {"nobody/", "loop", "a/gone.png", "locked/"}
    assert "empty" in reasons["nobody/"]
    assert "link" in reasons["loop"]
    assert "Permission denied" in reasons["locked/"]


def test_empty_folders_of_a_zip_are_listed(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "s.zip", {"a/": b"", "a/0.png": png(crop(0)), "nobody/": b""})
    assert aligned(source, tmp_path / "pack").unused == (("nobody/", "the folder is empty"),)


def test_one_picture_of_two_identities_and_lonely_identities_are_told(tmp_path: Path) -> None:
    files = {
        "a/0.png": png(crop(0)), "a/1.png": png(crop(1)), "a/2.png": png(crop(1)),
        "b/3.png": png(crop(0)), "c/4.png": png(crop(2)), "c/5.png": png(crop(3)),
    }  # fmt: skip
    prepared = prepare(folder_of(tmp_path / "s", files), tmp_path / "pack", ALIGNED)
    assert len(prepared.index.paths) == 6
    assert prepared.remarks == (
        "1 of 3 identities have one image: a split by identity keeps them out of training.",
        "one picture, several identities: a/0.png, b/3.png",
    )


def test_many_conflicts_are_counted(tmp_path: Path) -> None:
    files = {f"{name}/{i}.png": png(crop(i, 8)) for name in "ab" for i in range(23)}
    config = PrepareConfig(kind="images")
    remarks = prepare(folder_of(tmp_path / "s", files), tmp_path / "pack", config).remarks
    assert len(remarks) == 21
    assert remarks[-1].endswith("3 more")
