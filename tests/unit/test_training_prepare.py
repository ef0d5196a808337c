"""From folders and zips of pictures to a pack: what is said of each, and nothing done twice."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import pytest
from PIL import Image

import training.data.journal
from contract.alignment import TEMPLATE
from contract.detection.base import DetectedFace
from training.cli import main
from training.data.crops import central_face
from training.data.journal import Journal, JournalError
from training.data.pack import Pack, PackIndex, open_pack
from training.data.prepare import PrepareConfig, Prepared, prepare
from training.data.sources.base import SourceError
from training.data.workers import Done, PreparationError

Pixels = npt.NDArray[np.uint8]
ALIGNED = PrepareConfig(aligned=True)


def crop(seed: int, side: int = 112) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def folder_of(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


Make = Callable[[Path, dict[str, bytes]], Path]
both = pytest.mark.parametrize("make", [zip_of, folder_of])

# Not in sorted order, and with names beyond ASCII.
FILES = {
    "set/Zoë Šķēle/2.png": png(crop(3)),
    "set/Ada/1.PNG": png(crop(1)),
    "set/Ada/0.png": png(crop(0)),
    "set/林/a.png": png(crop(2)),
    "set/readme.txt": b"no picture",
}
PATHS = ("set/Ada/0.png", "set/Ada/1.PNG", "set/Zoë Šķēle/2.png", "set/林/a.png")


def seeds_of(pack: Pack) -> list[int]:
    """The seed of each crop in the pack: which picture went where."""
    return [
        next(seed for seed in range(99) if np.array_equal(image, crop(seed)))
        for image in pack.images
    ]


def aligned(source: Path, out: Path, **options: Any) -> PackIndex:
    return prepare(source, out, ALIGNED, **options).index


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


# --- with a detector ---


def face(left: float, top: float, side: float, landmarks: npt.NDArray[np.float64]) -> DetectedFace:
    return DetectedFace((left, top, left + side, top + side), landmarks.astype(np.float32), 0.9)


class FakeDetector:
    """Says that a large face is at the left and a small one, with a crop, in the middle."""

    name = "fake"
    made = 0
    asked = 0
    stops_at = -1

    def __init__(self) -> None:
        FakeDetector.made += 1

    def detect(self, image_HW3: Pixels) -> list[DetectedFace]:
        FakeDetector.asked += 1
        if FakeDetector.asked == FakeDetector.stops_at:
            raise KeyboardInterrupt
        if image_HW3.shape[1] < 200:
            return []
        large = face(0, 0, 180, TEMPLATE)
        central = face(150, 50, 60, TEMPLATE + np.array([144, 44]))
        return [large, central]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeDetector]:
    for name, value in (("made", 0), ("asked", 0), ("stops_at", -1)):
        monkeypatch.setattr(FakeDetector, name, value)
    return FakeDetector


def photo(seed: int) -> bytes:
    pixels = np.zeros((200, 400, 3), dtype=np.uint8)
    pixels[44:156, 144:256] = crop(seed)
    return png(pixels)


def test_the_central_face_is_aligned_and_not_the_largest(
    tmp_path: Path, fake: type[FakeDetector]
) -> None:
    files = {"a/photo.png": photo(5), "a/nobody.png": png(crop(0))}
    source = folder_of(tmp_path / "source", files)
    index = prepare(source, tmp_path / "pack", PrepareConfig(), detector=fake).index
    assert index.paths == ("a/photo.png",)
    assert index.unused == (("a/nobody.png", "no face was found"),)
    assert index.alignment == "five_point_112"
    found = open_pack(tmp_path / "pack").images[0].astype(int)
    assert np.abs(found - crop(5)).max() <= 1


def test_aligned_crops_are_found_and_aligned_anew_inside_a_border(tmp_path: Path) -> None:
    class Moved:
        """Finds the crop of a photo four pixels to the right of where it is."""

        name = "moved"

        def detect(self, image_HW3: Pixels) -> list[DetectedFace]:
            assert image_HW3.shape == (224, 224, 3)
            assert not image_HW3[:56].any()
            assert not image_HW3[:, -56:].any()
            return [face(60, 56, 112, TEMPLATE + np.array([60, 56]))]

    source = folder_of(tmp_path / "source", {"a/0.png": png(crop(5)), "a/1.png": png(crop(6))})
    config = PrepareConfig(realigned=True)
    index = prepare(source, tmp_path / "pack", config, detector=Moved).index
    assert (index.alignment, index.detector) == ("five_point_112", "moved")
    found = open_pack(tmp_path / "pack").images.astype(int)
    assert np.abs(found[0, :, :-4] - crop(5)[:, 4:]).max() <= 1
    assert found[0, :, -4:].max() <= 1


def test_the_pack_names_the_detector_and_work_goes_on_with_no_other(
    tmp_path: Path, fake: type[FakeDetector]
) -> None:
    class Other(FakeDetector):
        name = "other"

    source = folder_of(tmp_path / "source", {"a/0.png": photo(0), "a/1.png": photo(1)})
    fake.stops_at = 2
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "pack", PrepareConfig(), detector=fake)
    with pytest.raises(JournalError, match="detector fake, not other"):
        prepare(source, tmp_path / "pack", PrepareConfig(), detector=Other)
    fake.asked, fake.stops_at = 0, -1
    assert prepare(source, tmp_path / "pack", PrepareConfig(), detector=fake).index.detector == (
        "fake"
    )
    assert aligned(folder_of(tmp_path / "crops", FILES), tmp_path / "other").detector is None


def test_central_means_the_middle_of_both_sides() -> None:
    photo = np.zeros((100, 400, 3), dtype=np.uint8)
    right, middle, left = (face(x, 40, 20, TEMPLATE) for x in (300, 180, 0))
    assert central_face(photo, [right, middle, left]) is middle
    tall = photo.transpose(1, 0, 2)
    low, high = face(40, 220, 20, TEMPLATE), face(40, 0, 20, TEMPLATE)
    assert central_face(tall, [high, low]) is low


def test_what_a_detector_dies_of_names_the_photo(tmp_path: Path) -> None:
    class Broken(FakeDetector):
        def detect(self, image_HW3: Pixels) -> list[DetectedFace]:
            raise IndexError("of nothing")

    source = folder_of(tmp_path / "source", {"a/photo.png": photo(5)})
    with pytest.raises(PreparationError, match=r"a/photo\.png: IndexError: of nothing"):
        prepare(source, tmp_path / "pack", PrepareConfig(), detector=Broken)


# --- stopped and gone on with ---

MANY = {f"p{i % 5}/{i:02}.png": photo(i) if i % 7 else b"broken" for i in range(40)}


def contents(pack: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in pack.iterdir()}


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, bytes]:
    """The pack of MANY by work that nothing stopped."""
    source = folder_of(tmp_path / "many", MANY)
    prepare(source, tmp_path / "whole", PrepareConfig(), detector=FakeDetector)
    return contents(tmp_path / "whole")


@pytest.mark.parametrize("stops_at", [1, 2, 20, 34])
def test_stopped_work_goes_on_and_does_nothing_twice(
    tmp_path: Path, whole: dict[str, bytes], fake: type[FakeDetector], stops_at: int
) -> None:
    usable = sum(data != b"broken" for data in MANY.values())
    fake.asked, fake.stops_at = 0, stops_at
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    assert not (tmp_path / "pack" / "index.json").exists()
    fake.asked, fake.stops_at = 0, -1
    prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    assert fake.asked == usable - (stops_at - 1)
    assert contents(tmp_path / "pack") == whole


@pytest.mark.parametrize("torn", ["line", "image", "both", "lost image", "garbage"])
def test_what_a_kill_or_a_power_cut_tore_is_done_again(
    tmp_path: Path, whole: dict[str, bytes], fake: type[FakeDetector], torn: str
) -> None:
    fake.asked, fake.stops_at = 0, 20
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    journal, images = (tmp_path / "pack" / ".prepare" / n for n in ("journal.jsonl", "images.npy"))
    if torn in ("line", "both"):
        journal.write_bytes(journal.read_bytes()[:-3])
    if torn in ("image", "both"):
        images.write_bytes(images.read_bytes() + b"half of an image")
    if torn == "lost image":  # the journal reached the disk, the pixels did not
        data = images.read_bytes()
        images.write_bytes(data[:-50_000] + bytes(50_000))
    if torn == "garbage":
        journal.write_bytes(journal.read_bytes() + b"\0\0\n[1]\n")
    fake.asked, fake.stops_at = 0, 10
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    fake.asked, fake.stops_at = 0, -1
    prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    assert contents(tmp_path / "pack") == whole
    assert fake.asked <= 8  # what was torn is no hindrance the second time


@pytest.mark.parametrize("step", ["index", "images", "remove"])
def test_a_kill_in_the_last_steps_loses_nothing(
    tmp_path: Path,
    whole: dict[str, bytes],
    fake: type[FakeDetector],
    step: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the new images lie in place, before the new index, before the work is removed."""

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if step == "index":
            patch.setattr(Path, "write_text", killed)
        elif step == "images":
            patch.setattr(Path, "replace", killed)
        else:
            patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    assert (tmp_path / "pack" / ".prepare").exists()
    fake.asked = 0
    prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    assert contents(tmp_path / "pack") == whole
    if step != "remove":  # there the pack was done: it is prepared anew
        assert fake.asked == 0


def test_the_old_pack_stays_until_the_new_one_is_done(
    tmp_path: Path, fake: type[FakeDetector]
) -> None:
    aligned(folder_of(tmp_path / "old", FILES), tmp_path / "pack")
    fake.stops_at = 2
    source = folder_of(tmp_path / "new", {f"a/{i}.png": photo(i) for i in range(3)})
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "pack", PrepareConfig(), detector=fake)
    assert open_pack(tmp_path / "pack").index.paths == PATHS
    prepare(source, tmp_path / "pack", PrepareConfig(), detector=fake)
    assert open_pack(tmp_path / "pack").index.paths == ("a/0.png", "a/1.png", "a/2.png")


def begun(tmp_path: Path, fake: type[FakeDetector]) -> Path:
    source = folder_of(tmp_path / "many", MANY)
    fake.stops_at = 5
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "pack", PrepareConfig(), detector=fake)
    fake.stops_at = -1
    return source


def test_another_source_or_another_option_is_refused(
    tmp_path: Path, fake: type[FakeDetector]
) -> None:
    source = begun(tmp_path, fake)
    pack = tmp_path / "pack"
    other = folder_of(tmp_path / "other", MANY)
    with pytest.raises(JournalError, match=r"another preparation, source many, not other.*--out"):
        prepare(other, pack, PrepareConfig(), detector=fake)
    with pytest.raises(JournalError, match="aligned False, not True"):
        prepare(source, pack, ALIGNED)
    with pytest.raises(JournalError, match="kind faces, not images"):
        prepare(source, pack, PrepareConfig(kind="images", side_px=112))
    (source / "p1" / "01.png").write_bytes(b"something else")
    with pytest.raises(JournalError, match="files that have changed"):
        prepare(source, pack, PrepareConfig(), detector=fake)
    (source / "p1" / "01.png").write_bytes(MANY["p1/01.png"])
    prepare(source, pack, PrepareConfig(), detector=fake)
    assert len(open_pack(pack).images) == 34


def test_two_cannot_prepare_one_pack(tmp_path: Path, fake: type[FakeDetector]) -> None:
    source = begun(tmp_path, fake)
    head = json.loads((tmp_path / "pack/.prepare/journal.jsonl").read_text().splitlines()[0])
    other = Journal(tmp_path / "pack" / ".prepare", head, height_px=112, width_px=112)
    with pytest.raises(JournalError, match="Another process is preparing"):
        prepare(source, tmp_path / "pack", PrepareConfig(), detector=fake)
    other.close()
    prepare(source, tmp_path / "pack", PrepareConfig(), detector=fake)


def test_a_full_disk_keeps_what_is_done(
    tmp_path: Path,
    whole: dict[str, bytes],
    fake: type[FakeDetector],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    added = Journal.add

    def full(journal: Journal, done: Done) -> None:
        if len(journal.entries) == 12:
            raise OSError(28, "No space left on device")
        added(journal, done)

    with monkeypatch.context() as patch:
        patch.setattr(training.data.journal.Journal, "add", full)
        with pytest.raises(OSError, match="No space left"):
            prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    assert contents(tmp_path / "pack") == whole


# --- in processes of their own ---


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 crops, a few of them broken."""
    root = tmp_path_factory.mktemp("large")
    pictures = [png(crop(i)) for i in range(20)]
    files = {
        f"p{i % 30:02}/{i:03}.png": pictures[i % 20] if i % 50 else b"broken" for i in range(600)
    }
    aligned(zip_of(root / "s.zip", files), root / "whole")
    return root


def command(source: Path, out: Path, workers: int) -> list[str]:
    return [
        sys.executable, "-m", "training.cli", "prepare", str(source), "--out", str(out),
        "--aligned", "--workers", str(workers),
    ]  # fmt: skip


def lines(out: Path) -> int:
    journal = out / ".prepare" / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def started(words: list[str]) -> subprocess.Popen[str]:
    """Its own session, in which Ctrl-C is heard even where these tests run in the background."""
    # A shell starts what it puts into the background with SIGINT ignored, and children inherit it.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_work_goes_on_to_the_same_bytes(tmp_path: Path, large: Path, workers: int) -> None:
    out = tmp_path / "pack"
    words = command(large / "s.zip", out, workers)
    for _ in range(3 - workers):
        before = lines(out)
        with started(words) as process:
            wait_for(lambda before=before: lines(out) > max(2, before))
            children = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            process.communicate()
        assert lines(out) >= before  # nothing that was done is done again
        psutil.wait_procs(children, timeout=20)
        assert not [child for child in children if child.is_running()]  # no orphan
    assert 0 < lines(out) < 601
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "588 images of 30 identities; 12 could not be used" in done.stdout
    assert contents(out) == contents(large / "whole")


@pytest.mark.parametrize("done", [0, 2], ids=["as workers start", "in the middle"])
def test_ctrl_c_ends_all_processes_in_words(tmp_path: Path, large: Path, done: int) -> None:
    out = tmp_path / "pack"
    with started(command(large / "s.zip", out, 2)) as process:
        wait_for(lambda: lines(out) > done)
        if not done:
            wait_for(lambda: len(psutil.Process(process.pid).children()) > 2)  # with the tracker
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        printed, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped; the same command goes on" in printed
    assert "Traceback" not in errors
    psutil.wait_procs(children, timeout=20)
    assert not [child for child in children if child.is_running()]
    if done:
        subprocess.run(command(large / "s.zip", out, 1), capture_output=True, check=True)
        assert contents(out) == contents(large / "whole")


def test_a_worker_that_is_killed_is_told_and_its_work_done_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deadly_detector.py").write_text(
        "import os, signal\n"
        "from pathlib import Path\n"
        "class Deadly:\n"
        "    name = 'deadly'\n"
        "    def detect(self, image):\n"
        "        if image[0, 0, 0] == 255:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return []\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from deadly_detector import Deadly  # type: ignore[import-not-found]  # written above

    pictures = [np.full((30, 30, 3), 255 if i == 70 else i, dtype=np.uint8) for i in range(90)]
    source = folder_of(
        tmp_path / "s", {f"a/{i:02}.png": png(picture) for i, picture in enumerate(pictures)}
    )
    with pytest.raises(PreparationError, match=r"memory was full.*fewer --workers"):
        prepare(source, tmp_path / "pack", PrepareConfig(), workers=2, detector=Deadly)
    assert lines(tmp_path / "pack") >= 1


def test_the_command_says_what_it_did_and_refuses_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {**FILES, "set/Ada/text.jpg": b"not a picture"}
    source = str(folder_of(tmp_path / "source", files))
    pack = str(tmp_path / "pack")
    assert main(["prepare", source, "--out", pack, "--aligned", "--workers", "1"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{pack}: 4 images of 3 identities; 1 could not be used"
    assert printed[1].startswith("  set/Ada/text.jpg: ")
    assert printed[2].startswith("note: 2 of 3 identities have one image")
    for words, reason in (
        (["--workers", "0"], "--workers must be at least 1"),
        (["--side", "64"], "--side is for the others"),
        (["--kind", "images"], "--aligned is for"),
        (["--splits"], "every image lies in a folder train or test"),
        (["--variant", "balanced"], "--variant is for idx files"),
    ):
        assert main(["prepare", source, "--out", pack, "--aligned", *words]) == 1
        assert reason in capsys.readouterr().err
    for words, reason in (
        (["--aligned"], "not both"),
        (["--kind", "images"], "--realigned is for --kind faces"),
        (["--side", "64"], "--side is for the others"),
    ):
        assert main(["prepare", source, "--out", pack, "--realigned", *words]) == 1
        assert reason in capsys.readouterr().err
    assert main(["prepare", source, "--out", pack, "--side", "4"]) == 1
    assert "--side must be 8 to 1024 pixels" in capsys.readouterr().err


def test_prepared_is_a_record_of_the_index_in_the_pack(tmp_path: Path) -> None:
    prepared = prepare(folder_of(tmp_path / "s", FILES), tmp_path / "pack", ALIGNED)
    assert isinstance(prepared, Prepared)
    assert prepared.index == open_pack(tmp_path / "pack").index
