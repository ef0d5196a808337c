"""VGGFace2: its tables of landmarks, and what they lack."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from contract.alignment import TEMPLATE, align_face
from tests.source_files import encoded, folder_of, identity_of, noise, packed, zip_of
from training.data.crops import LandmarkFace
from training.data.sources.base import SourceError, UnusableError

# Where the face of each photo is: photo pixels = template * scale + shift.
PLACES = {
    "train/n000002/0001_01": (1.0, 40.0, 30.0),
    "train/n000002/0002_01": (1.5, 10.0, 20.0),
    "train/n000003/0001_02": (0.7, 80.0, 60.0),
    "test/n000001/0001_01": (1.2, 25.0, 5.0),
}


def landmarks_of(name: str) -> npt.NDArray[np.float64]:
    scale, x, y = PLACES[name]
    return TEMPLATE * scale + np.array([x, y])


def table(split: str, columns: list[str], rows: dict[str, Any], *, quoted: bool = True) -> str:
    lines = [",".join(["NAME_ID", *columns])]
    for name, numbers in rows.items():
        label = f'"{name}"' if quoted else name
        lines.append(",".join([label, *map(str, numbers)]))
    return "\n".join(lines) + "\n"


POINTS = [f"P{i}{axis}" for i in range(1, 6) for axis in "XY"]


def vggface2_files(**more: bytes) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for i, name in enumerate(PLACES):
        files[f"{name}.jpg"] = encoded(noise(i, 260, 250, 3))
    for split in ("train", "test"):
        rows = {name.partition("/")[2]: landmarks_of(name).ravel().round(4).tolist()
                for name in PLACES if name.startswith(split)}  # fmt: skip
        boxes = {name: (*np.reshape(p, (5, 2)).min(0).astype(int), 90, 90)
                 for name, p in rows.items()}  # fmt: skip
        marks = table(split, POINTS, rows)
        files[f"bb_landmark/loose_landmark_{split}.csv"] = marks.encode()
        files[f"bb_landmark/loose_bb_{split}.csv"] = table(split, list("XYWH"), boxes).encode()
    return files | more


@pytest.mark.parametrize("make", [folder_of, zip_of])
@pytest.mark.parametrize("top", ["", "VGG-Face2/data/"])
def test_vggface2_is_aligned_by_the_landmarks_of_its_tables(
    tmp_path: Path, make: Any, top: str
) -> None:
    files = {top + name: data for name, data in vggface2_files().items()}
    pack, prepared = packed(make(tmp_path / "vgg", files))
    paths = sorted(f"{name}.jpg" for name in PLACES)
    assert [path.removeprefix(top) for path in pack.index.paths] == paths
    assert identity_of(pack) == [path.split("/")[1] for path in paths]
    assert pack.index.splits == tuple(path.split("/")[0] for path in paths)
    assert (pack.index.source, pack.index.alignment) == ("vggface2", "five_point_112")
    assert pack.index.unused == ()
    assert not any("train and in test" in remark for remark in prepared.remarks)
    for image, path in zip(pack.images, paths, strict=True):
        name = path.removesuffix(".jpg")
        photo = noise(list(PLACES).index(name), 260, 250, 3)
        expected = align_face(photo, landmarks_of(name).round(4).astype(np.float32))
        assert np.array_equal(image, expected)


def test_a_photo_of_vggface2_at_the_template_is_cut_out_as_it_is(tmp_path: Path) -> None:
    pack, _ = packed(folder_of(tmp_path / "vgg", vggface2_files()))
    row = pack.index.paths.index("train/n000002/0001_01.jpg")
    cut = noise(0, 260, 250, 3)[30:142, 40:152].astype(int)
    assert np.abs(pack.images[row].astype(int) - cut).max() <= 1


def test_photos_without_usable_landmarks_are_listed(tmp_path: Path) -> None:
    files = vggface2_files()
    for name in ("train/n000003/0009_01", "elsewhere/0001_01", "train/n000003/0003_01"):
        files[f"{name}.jpg"] = encoded(noise(9, 260, 250, 3))
    good = landmarks_of("train/n000002/0001_01").ravel()
    one_point = [100.0] * 10
    files["bb_landmark/loose_landmark_train.csv"] += (
        "n000003/0003_01,1,2,3,,5,6,7,8,9,10\n"
        "n000003/0004_01," + ",".join(map(str, one_point)) + "\n"
        "n000003/0005_01," + ",".join(map(str, good + 5000)) + "\n"
        "n000003/0006_01," + ",".join(map(str, good)) + "\n"
        "n000003/0007_01," + ",".join(map(str, good)) + "\n"
    ).encode()
    files["bb_landmark/loose_bb_train.csv"] += b"n000003/0006_01,200,200,20,20\n"
    for number in (4, 5, 6):
        files[f"train/n000003/000{number}_01.jpg"] = encoded(noise(9, 260, 250, 3))
    files["train/n000003/0007_01.jpg"] = b"broken"
    pack, _ = packed(folder_of(tmp_path / "vgg", files))
    reasons = dict(pack.index.unused)
    assert sorted(f"{name}.jpg" for name in PLACES) == list(pack.index.paths)
    for path, words in {
        "elsewhere/0001_01.jpg": "does not lie in train/n",
        "train/n000003/0009_01.jpg": "loose_landmark_train.csv has no row n000003/0009_01",
        "train/n000003/0003_01.jpg": "number missing in row n000003/0003_01",
        "train/n000003/0004_01.jpg": "all lie on one point",
        "train/n000003/0005_01.jpg": "outside the photo",
        "train/n000003/0006_01.jpg": "outside its box in loose_bb_train.csv",
        "train/n000003/0007_01.jpg": "not a JPEG",
    }.items():
        assert words in reasons.pop(path), path
    assert reasons == {}


def test_only_one_split_of_vggface2_will_do_and_shared_people_are_told(tmp_path: Path) -> None:
    files = vggface2_files()
    del files["bb_landmark/loose_landmark_test.csv"], files["bb_landmark/loose_bb_test.csv"]
    files = {name: data for name, data in files.items() if not name.startswith("test/")}
    pack, _ = packed(folder_of(tmp_path / "a" / "vgg", files))
    assert set(pack.index.splits) == {"train"}
    shared = {
        "test/n000002/0001_01.jpg" if name == "test/n000001/0001_01.jpg" else name: data.replace(
            b'"n000001', b'"n000002'
        )
        for name, data in vggface2_files().items()
    }
    _, prepared = packed(folder_of(tmp_path / "b" / "vgg", shared))
    assert "1 identities are in train and in test, as n000002" in prepared.remarks[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must begin with NAME_ID,P1X"),
        ("NAME_ID,X,Y,W,H\n", "must begin with NAME_ID,P1X"),
        (",".join(["NAME_ID", *POINTS]) + "\na/b,1,2\n", "line 2: 10 numbers"),
        (",".join(["NAME_ID", *POINTS]) + "\n\na/b,1,2,3,4,5,6,7,8,9,x\n", "line 3: 10 numbers"),
        (",".join(["NAME_ID", *POINTS]) + "\n", "no photo of VGGFace2 with landmarks"),
    ],
)
def test_a_table_that_cannot_be_understood_is_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    files = {
        "train/n000002/0001_01.jpg": encoded(noise(0, 99, 99, 3)),
        "bb_landmark/loose_landmark_train.csv": text.encode(),
    }
    with pytest.raises(SourceError, match=words):
        packed(folder_of(tmp_path / "vgg", files))


def test_vggface2_without_tables_says_where_they_come_from(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "vgg", {"train/n000002/0001_01.jpg": b"x"})
    with pytest.raises(SourceError, match=r"bb_landmark\.tar\.gz"):
        packed(source, kind="vggface2")


def test_landmarks_are_needed_to_align_by_landmarks() -> None:
    with pytest.raises(UnusableError, match="no landmarks"):
        LandmarkFace().open()(noise(0, 50, 50, 3), None)
