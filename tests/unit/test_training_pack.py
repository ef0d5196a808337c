"""From folders and zips of pictures to a pack, and what is said of each picture left out."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from contract.alignment import TEMPLATE
from contract.detection.base import DetectedFace
from training.data.pack import Pack, PackError, PackIndex, open_pack, write_pack
from training.data.prepare import SourceError, central_face, prepare

Pixels = npt.NDArray[np.uint8]


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


# Not in sorted order, and with names beyond ASCII.
FILES = {
    "set/Zoë Šķēle/2.png": png(crop(3)),
    "set/Ada/1.PNG": png(crop(1)),
    "set/Ada/0.png": png(crop(0)),
    "set/林/a.png": png(crop(2)),
    "set/readme.txt": b"no picture",
}
PATHS = ("set/Ada/0.png", "set/Ada/1.PNG", "set/Zoë Šķēle/2.png", "set/林/a.png")


def pixels_of(pack: Pack) -> list[int]:
    """The seed of each crop in the pack: which picture went where."""
    return [
        next(seed for seed in range(9) if np.array_equal(image, crop(seed)))
        for image in pack.images
    ]


@pytest.mark.parametrize("make", [zip_of, folder_of])
def test_a_zip_and_a_folder_give_the_same_pack(tmp_path: Path, make: object) -> None:
    assert callable(make)
    source = make(tmp_path / "source", FILES)
    index = prepare(source, tmp_path / "pack", None)
    pack = open_pack(tmp_path / "pack")
    assert pack.index == index
    assert index.paths == PATHS
    assert index.identities == ("set/Ada", "set/Zoë Šķēle", "set/林")
    assert index.labels == (0, 0, 1, 2)
    assert index.unused == ()
    assert index.source == "source"
    assert index.alignment == "five_point_112"
    assert pack.images.shape == (4, 112, 112, 3)
    assert pack.images.dtype == np.uint8
    assert pack.labels.dtype == np.int64
    assert pixels_of(pack) == [0, 1, 3, 2]


def test_what_cannot_be_used_is_listed_with_its_reason(tmp_path: Path) -> None:
    files = {
        **FILES,
        "set/Ada/large.png": png(crop(0, side=113)),
        "set/Ada/half.png": png(crop(1))[:500],
        "set/Ada/text.jpg": b"not a picture",
        "set/Ada/empty.webp": b"",
    }
    index = prepare(folder_of(tmp_path / "source", files), tmp_path / "pack", None)
    assert index.paths == PATHS
    reasons = dict(index.unused)
    assert set(reasons) == {
        f"set/Ada/{n}" for n in ("large.png", "half.png", "text.jpg", "empty.webp")
    }
    assert "113 x 113 pixels, an aligned crop has 112 x 112" in reasons["set/Ada/large.png"]
    assert "damaged" in reasons["set/Ada/half.png"]
    assert "not a JPEG" in reasons["set/Ada/text.jpg"]
    assert "empty" in reasons["set/Ada/empty.webp"]
    assert open_pack(tmp_path / "pack").index.unused == index.unused


def test_a_member_that_the_zip_itself_has_damaged_is_listed_too(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "source.zip", FILES)
    data = bytearray(source.read_bytes())
    at = data.index(png(crop(2))) + 50  # stored as it is: only the zip's own checksum tells
    data[at] ^= 0xFF
    source.write_bytes(data)
    index = prepare(source, tmp_path / "pack", None)
    ((path, reason),) = index.unused
    assert path == "set/林/a.png"
    assert "cannot be read" in reason


@pytest.mark.parametrize("make", [zip_of, folder_of])
def test_pairs_of_a_protocol_are_copied(tmp_path: Path, make: object) -> None:
    assert callable(make)
    source = make(tmp_path / "source", {**FILES, "set/pairs.txt": b"10\t300\n"})
    prepare(source, tmp_path / "pack", None)
    assert (tmp_path / "pack" / "pairs.txt").read_bytes() == b"10\t300\n"


@pytest.mark.parametrize("make", [zip_of, folder_of])
def test_a_source_without_images_is_refused(tmp_path: Path, make: object) -> None:
    assert callable(make)
    source = make(tmp_path / "source", {"notes.txt": b"hello"})
    with pytest.raises(SourceError, match="holds no"):
        prepare(source, tmp_path / "pack", None)


def test_a_source_of_unusable_images_alone_is_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", {"a/1.png": b"x", "a/2.png": b"y"})
    with pytest.raises(SourceError, match="None of the 2 images"):
        prepare(source, tmp_path / "pack", None)
    assert not (tmp_path / "pack").exists()


@pytest.mark.parametrize("data", [b"", b"this is no zip"])
def test_a_file_that_is_no_zip_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "source.zip").write_bytes(data)
    with pytest.raises(SourceError, match="neither a folder nor a readable zip"):
        prepare(tmp_path / "source.zip", tmp_path / "pack", None)


def test_a_source_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="neither a folder"):
        prepare(tmp_path / "nowhere", tmp_path / "pack", None)


# --- with a detector ---


def face(left: float, top: float, side: float, landmarks: npt.NDArray[np.float64]) -> DetectedFace:
    return DetectedFace((left, top, left + side, top + side), landmarks.astype(np.float32), 0.9)


class FakeDetector:
    """Says that a large face is at the left and a small one, with a crop, in the middle."""

    name = "fake"

    def detect(self, image_HW3: Pixels) -> list[DetectedFace]:
        if image_HW3.shape[1] < 200:
            return []
        large = face(0, 0, 180, TEMPLATE)
        central = face(150, 50, 60, TEMPLATE + np.array([144, 44]))
        return [large, central]


def test_the_central_face_is_aligned_and_not_the_largest(tmp_path: Path) -> None:
    photo = np.zeros((200, 400, 3), dtype=np.uint8)
    photo[44:156, 144:256] = crop(5)
    files = {"a/photo.png": png(photo), "a/nobody.png": png(crop(0))}
    index = prepare(folder_of(tmp_path / "source", files), tmp_path / "pack", FakeDetector())
    assert index.paths == ("a/photo.png",)
    assert index.unused == (("a/nobody.png", "no face was found"),)
    found = open_pack(tmp_path / "pack").images[0].astype(int)
    assert np.abs(found - crop(5)).max() <= 1


def test_central_means_the_middle_of_both_sides() -> None:
    photo = np.zeros((100, 400, 3), dtype=np.uint8)
    right, middle, left = (face(x, 40, 20, TEMPLATE) for x in (300, 180, 0))
    assert central_face(photo, [right, middle, left]) is middle
    tall = photo.transpose(1, 0, 2)
    low, high = face(40, 220, 20, TEMPLATE), face(40, 0, 20, TEMPLATE)
    assert central_face(tall, [high, low]) is low


# --- packs that are none ---


def small_pack(root: Path, images: int = 2) -> PackIndex:
    index = PackIndex(
        source="s", alignment="five_point_112", identities=("a",),
        paths=tuple(f"a/{i}.png" for i in range(images)), labels=(0,) * images, unused=(),
    )  # fmt: skip
    write_pack(root, index, np.stack([crop(i) for i in range(images)]))
    return index


def test_a_folder_that_is_no_pack_is_refused(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(PackError, match="not a pack"):
            open_pack(root)


@pytest.mark.parametrize("missing", ["index.json", "images.npy"])
def test_half_a_pack_is_refused(tmp_path: Path, missing: str) -> None:
    small_pack(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(PackError, match="not a pack"):
        open_pack(tmp_path)


def test_images_that_break_off_are_refused(tmp_path: Path) -> None:
    small_pack(tmp_path)
    data = (tmp_path / "images.npy").read_bytes()
    (tmp_path / "images.npy").write_bytes(data[:-1000])
    with pytest.raises(PackError, match="not a pack"):
        open_pack(tmp_path)


def test_more_images_than_paths_are_refused(tmp_path: Path) -> None:
    small_pack(tmp_path, images=2)
    np.save(tmp_path / "images.npy", np.stack([crop(i) for i in range(3)]))
    with pytest.raises(PackError, match="incomplete"):
        open_pack(tmp_path)


def test_a_pack_that_was_stopped_while_it_replaced_another_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old index would fit the new images: as many, and other ones."""
    small_pack(tmp_path)

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", stopped)
    with pytest.raises(KeyboardInterrupt):
        small_pack(tmp_path)
    with pytest.raises(PackError, match="not a pack"):
        open_pack(tmp_path)


@pytest.mark.parametrize("change", [{"format_version": 2}, {"surprise": 1}, {"labels": None}])
def test_a_pack_of_another_version_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    small_pack(tmp_path)
    values = json.loads((tmp_path / "index.json").read_text()) | change
    values = {key: value for key, value in values.items() if value is not None}
    (tmp_path / "index.json").write_text(json.dumps(values))
    with pytest.raises(PackError, match="another version"):
        open_pack(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "[1]"])
def test_an_index_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    small_pack(tmp_path)
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(PackError, match="prepare"):
        open_pack(tmp_path)
