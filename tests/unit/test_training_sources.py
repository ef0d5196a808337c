"""Each data set in its own layout: which image, whose, in which split, and which way up."""

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from torchvision.datasets.mnist import read_image_file, read_label_file

from contract.alignment import TEMPLATE, align_face
from contract.fitting import fit_image
from training.data.crops import LandmarkFace
from training.data.pack import Pack, open_pack
from training.data.prepare import PrepareConfig, Prepared, prepare
from training.data.sources.base import SourceError, UnusableError
from training.data.sources.cifar10 import CLASSES

Pixels = npt.NDArray[np.uint8]


def noise(seed: int, *shape: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(pixels: Pixels, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def folder_of(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def packed(source: Path, **options: Any) -> tuple[Pack, Prepared]:
    out = source.parent / "pack"
    prepared = prepare(source, out, PrepareConfig(**options))
    return open_pack(out), prepared


def identity_of(pack: Pack) -> list[str]:
    return [pack.index.identities[label] for label in pack.index.labels]


# --- VGGFace2 ---

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


# --- idx files ---


def idx_images(images: Pixels) -> bytes:
    return struct.pack(">IIII", 0x803, *images.shape) + images.tobytes()


def idx_labels(labels: list[int]) -> bytes:
    return struct.pack(">II", 0x801, len(labels)) + bytes(labels)


TRAIN, TEST = noise(1, 7, 28, 20), noise(2, 3, 28, 20)
TRAIN_LABELS, TEST_LABELS = [3, 0, 1, 3, 3, 9, 0], [9, 1, 0]


def idx_files(prefix: str = "", test: str = "t10k", suffix: str = "-") -> dict[str, bytes]:
    return {
        f"{prefix}train-images{suffix}idx3-ubyte": idx_images(TRAIN),
        f"{prefix}train-labels{suffix}idx1-ubyte": idx_labels(TRAIN_LABELS),
        f"{prefix}{test}-images{suffix}idx3-ubyte": idx_images(TEST),
        f"{prefix}{test}-labels{suffix}idx1-ubyte": idx_labels(TEST_LABELS),
    }


def gzipped(files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{name}.gz": gzip.compress(data) for name, data in files.items()}


def check_digits(pack: Pack) -> None:
    expected = np.concatenate([TRAIN, TEST])
    assert np.array_equal(pack.images, np.stack([expected] * 3, axis=-1))
    assert identity_of(pack) == [str(label) for label in TRAIN_LABELS + TEST_LABELS]
    assert pack.index.splits == ("train",) * 7 + ("test",) * 3
    assert pack.index.paths[:2] == ("train/00000", "train/00001")
    assert pack.index.paths[-1] == "test/00002"
    assert pack.index.alignment == "none"


@pytest.mark.parametrize("make", [folder_of, zip_of])
@pytest.mark.parametrize("wrap", [dict, gzipped])
@pytest.mark.parametrize("test", ["t10k", "test"])
def test_digits_are_read_in_order_from_every_form(
    tmp_path: Path, make: Any, wrap: Any, test: str
) -> None:
    pack, _ = packed(make(tmp_path / "digits", wrap(idx_files("mnist/", test))))
    check_digits(pack)
    assert pack.index.source == "mnist"


def test_torchvision_reads_the_same_from_the_same_files(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "mnist", idx_files())
    pack, _ = packed(root)
    assert np.array_equal(
        pack.images[:7, :, :, 1], read_image_file(str(root / "train-images-idx3-ubyte")).numpy()
    )
    labels = read_label_file(str(root / "train-labels-idx1-ubyte")).tolist()
    assert identity_of(pack)[:7] == [str(label) for label in labels]


def test_a_folder_with_both_forms_and_dots_in_its_names_is_one_data_set(tmp_path: Path) -> None:
    files = idx_files("raw/", suffix=".")
    pack, _ = packed(folder_of(tmp_path / "MNIST", files | gzipped(files)))
    check_digits(pack)
    assert pack.index.source == "MNIST"


def test_gzip_is_told_by_content(tmp_path: Path) -> None:
    files = {name: gzip.compress(data) for name, data in idx_files().items()}
    check_digits(packed(folder_of(tmp_path / "digits", files))[0])


@pytest.mark.parametrize(
    ("root", "top"), [("dataset-fashion-mnist", ""), ("d", "FashionMNIST/raw/")]
)
def test_fashion_has_names(tmp_path: Path, root: str, top: str) -> None:
    pack, _ = packed(folder_of(tmp_path / root, gzipped(idx_files(top))))
    names = {0: "T-shirt/top", 1: "Trouser", 3: "Dress", 9: "Ankle boot"}
    assert identity_of(pack) == [names[label] for label in TRAIN_LABELS + TEST_LABELS]
    assert pack.index.source == "fashion-mnist"


def test_official_emnist_is_turned_upright_and_named(tmp_path: Path) -> None:
    files = gzipped(idx_files("gzip/emnist-letters-", "test"))
    mapping = "0 48\n1 65 97\n3 67 99\n9 73 105\n"
    files["gzip/emnist-letters-mapping.txt"] = mapping.encode()
    pack, _ = packed(zip_of(tmp_path / "gzip.zip", files))
    upright = np.concatenate([TRAIN, TEST]).transpose(0, 2, 1)
    assert np.array_equal(pack.images, np.stack([upright] * 3, axis=-1))
    names = {0: "0", 1: "Aa", 3: "Cc", 9: "Ii"}
    assert identity_of(pack) == [names[label] for label in TRAIN_LABELS + TEST_LABELS]
    assert pack.index.source == "emnist-letters"


def test_emnist47_is_upright_and_named_by_its_mapping(tmp_path: Path) -> None:
    files = gzipped(idx_files("emnist47/", "test"))
    files["emnist47/mapping.json"] = json.dumps([*"0123456789"[:9], "ж"]).encode()
    pack, _ = packed(zip_of(tmp_path / "emnist47.zip", files))
    assert np.array_equal(pack.images[:7, :, :, 0], TRAIN)
    assert identity_of(pack)[5] == "ж"
    assert pack.index.source == "emnist47"


def test_of_several_data_sets_one_is_chosen(tmp_path: Path) -> None:
    files = idx_files("emnist-balanced-", "test") | idx_files("emnist-digits-", "test")
    source = folder_of(tmp_path / "emnist", files)
    with pytest.raises(SourceError, match=r"--variant balanced \| digits"):
        packed(source)
    with pytest.raises(SourceError, match="has no letters: there is balanced, digits"):
        packed(source, variant="letters")
    assert packed(source, variant="digits")[0].index.source == "emnist-digits"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train-images-idx3-ubyte": idx_images(TRAIN)[:-1]}, "damaged or breaks off"),
        ({"train-images-idx3-ubyte": b"\0\0"}, "damaged or breaks off"),
        ({"train-images-idx3-ubyte": gzip.compress(idx_images(TRAIN))[:-9]}, "damaged or breaks"),
        ({"train-images-idx3-ubyte": b"\x1f\x8bno gzip at all"}, "damaged or breaks off"),
        ({"train-images-idx3-ubyte": idx_labels(TRAIN_LABELS)}, "begins with 0x00000801"),
        ({"train-images-idx3-ubyte": struct.pack(">IIII", 0x803, 7, 2**31, 9)}, "it is damaged"),
        ({"train-labels-idx1-ubyte": idx_labels(TRAIN_LABELS[:-1])}, "7 images.* 6 labels"),
        ({"train-labels-idx1-ubyte": struct.pack(">II", 0x801, 2**32 - 1)}, "it is damaged"),
        ({"train-labels-idx1-ubyte": None}, "no file of labels beside it"),
        ({"t10k-images-idx3-ubyte": None}, "no file of images beside it"),
        ({"mapping.json": b"["}, "names of the classes cannot be read"),
        ({"mapping.json": b"3"}, "names of the classes cannot be read"),
        ({"mapping.json": b'["a", "b", "c", "a"]'}, "each class needs a name of its own"),
        ({"mapping.json": b'["a", "b", "c", ""]'}, "each class needs a name of its own"),
        ({"mapping.json": b'["a", "b", "c"]'}, "label 3 has no name"),
    ],
)
def test_idx_files_that_contradict_themselves_are_refused(
    tmp_path: Path, change: dict[str, bytes | None], words: str
) -> None:
    files: dict[str, bytes | None] = {**idx_files(), **change}
    there = {name: data for name, data in files.items() if data is not None}
    with pytest.raises(SourceError, match=words):
        packed(folder_of(tmp_path / "digits", there))


def test_no_idx_files_and_empty_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no idx files"):
        packed(folder_of(tmp_path / "a", {"x/1.png": b""}), kind="mnist")
    files = {
        "train-images-idx3-ubyte": idx_images(TRAIN[:0]),
        "train-labels-idx1-ubyte": idx_labels([]),
    }
    with pytest.raises(SourceError, match="has no image"):
        packed(folder_of(tmp_path / "b", files))


def test_digits_go_on_in_the_middle_of_a_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.data.journal import Journal

    source = folder_of(tmp_path / "digits", gzipped(idx_files()))
    add = Journal.add
    for stops_at in (0, 4, 7, 9):

        def stopping(journal: Any, done: Any, stops_at: int = stops_at) -> None:
            if len(journal.entries) == stops_at:
                raise KeyboardInterrupt
            add(journal, done)

        with monkeypatch.context() as patch:
            patch.setattr(Journal, "add", stopping)
            with pytest.raises(KeyboardInterrupt):
                packed(source)
        check_digits(packed(source)[0])


# --- CIFAR-10 ---


class Python2Pickler(pickle._Pickler):  # type: ignore[name-defined]  # the Python form, to alter
    """Writes text and bytes as Python 2 did: both are its one kind of string."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=2)

    def save_string(self, value: str | bytes) -> None:
        data = value.encode() if isinstance(value, str) else value
        self.write(b"T" + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    dispatch = {**pickle._Pickler.dispatch, str: save_string, bytes: save_string}  # type: ignore[attr-defined]  # noqa: RUF012


def pickled(value: object) -> bytes:
    buffer = io.BytesIO()
    Python2Pickler(buffer).dump(value)
    # Written by numpy 1, as the original files are.
    return buffer.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def cifar_files(top: str = "cifar-10-batches-py/") -> dict[str, bytes]:
    """Two images in each batch; the label of the first is the number of the batch."""
    files = {}
    for i, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        batch = {"data": noise(i, 2, 3072), "labels": [i, 9], "batch_label": name}
        files[top + name] = pickled(batch)
    files[top + "batches.meta"] = pickled({"label_names": list(CLASSES)})
    return files


def tar_of(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path.with_suffix(".tar.gz"), "w:gz") as archive:
        for name in reversed(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            archive.addfile(member, io.BytesIO(files[name]))
    return path.with_suffix(".tar.gz")


@pytest.mark.parametrize("make", [folder_of, zip_of, tar_of])
def test_cifar10_is_read_from_its_pickles(tmp_path: Path, make: Any) -> None:
    pack, _ = packed(make(tmp_path / "cifar-10-python", cifar_files()))
    planes = np.concatenate([noise(i, 2, 3072) for i in range(6)]).reshape(12, 3, 32, 32)
    for image, plane in zip(pack.images, planes, strict=True):
        for y, x in ((0, 0), (0, 31), (31, 0), (7, 20)):
            assert image[y, x].tolist() == plane[:, y, x].tolist()
    names = [CLASSES[label] for i in range(6) for label in (i, 9)]
    assert identity_of(pack) == names
    assert pack.index.splits == ("train",) * 10 + ("test",) * 2
    assert pack.index.paths[9:] == ("train/00009", "test/00000", "test/00001")
    assert pack.index.source == "cifar10"


class Command:
    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os.system, ("touch harmed",)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pickle.dumps(Command(), protocol=2), "asks for posix.system"),
        (b"cbuiltins\neval\n(S'1'\ntR.", "asks for builtins.eval"),
        (b"cnumpy\nload\n.", "asks for numpy.load"),
        (b"", "not a batch"),
        (pickled([1]), "not a batch"),
        (pickled({"data": noise(0, 2, 3072), "labels": [1]}), "not a batch"),
        (pickled({"data": noise(0, 2, 3072), "labels": [1, 10]}), "not a batch"),
        (pickled({"data": noise(0, 2, 3071), "labels": [1, 2]}), "not a batch"),
        (pickled({"data": [1, 2], "labels": [1, 2]}), "not a batch"),
        (pickled({"data": noise(0, 2, 3072).astype(np.float32), "labels": [1, 2]}), "not a batch"),
        (cifar_files()["cifar-10-batches-py/data_batch_1"][:-40], "not a batch"),
    ],
)
def test_a_pickle_that_is_no_batch_is_refused_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    files = cifar_files() | {"cifar-10-batches-py/data_batch_3": data}
    with pytest.raises(SourceError, match=words):
        packed(folder_of(tmp_path / "cifar", files))
    assert not (tmp_path / "harmed").exists()


def test_cifar10_without_a_batch_or_with_other_names_is_refused(tmp_path: Path) -> None:
    files = cifar_files()
    del files["cifar-10-batches-py/data_batch_4"]
    with pytest.raises(SourceError, match="lacks data_batch_4"):
        packed(folder_of(tmp_path / "a", files))
    files = cifar_files()
    files["cifar-10-batches-py/batches.meta"] = pickled({"label_names": ["apple"]})
    with pytest.raises(SourceError, match="does not name the classes"):
        packed(folder_of(tmp_path / "b", files))


def jpeg_files(top: str) -> dict[str, bytes]:
    return {
        f"{top}{split}/{name}/{i:04}.jpg": encoded(noise(i, 32, 32, 3), "JPEG")
        for split in ("train", "test")
        for i, name in enumerate(CLASSES)
    }


@pytest.mark.parametrize("make", [folder_of, zip_of])
@pytest.mark.parametrize("top", ["", "CIFAR-10-images-master/"])
def test_cifar10_of_jpeg_files_is_known_by_its_folders(tmp_path: Path, make: Any, top: str) -> None:
    pack, _ = packed(make(tmp_path / "source", jpeg_files(top)))
    assert pack.index.source == "cifar10-jpeg"
    assert pack.index.identities == CLASSES
    assert pack.index.splits == ("test",) * 10 + ("train",) * 10
    assert identity_of(pack) == [*CLASSES, *CLASSES]
    expected = np.asarray(Image.open(io.BytesIO(jpeg_files("")["train/cat/0003.jpg"])))
    assert np.array_equal(pack.images[13], expected)


def test_a_tar_of_anything_else_is_to_be_unpacked(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="unpack it"):
        packed(tar_of(tmp_path / "faces", {"a/1.png": encoded(noise(0, 112, 112, 3))}))


# --- images of any size ---


def test_folders_are_images_where_a_side_is_named(tmp_path: Path) -> None:
    files = {
        "simpsons/lisa/0.webp": encoded(noise(0, 90, 120, 3), "WEBP"),
        "simpsons/bart/1.png": encoded(noise(1, 33, 20, 3)),
    }
    pack, _ = packed(zip_of(tmp_path / "simpsons.zip", files), side_px=64)
    assert pack.images.shape == (2, 64, 64, 3)
    assert pack.index.identities == ("simpsons/bart", "simpsons/lisa")
    assert (pack.index.alignment, pack.index.fit) == ("none", "pad")
    assert pack.index.source == "simpsons.zip"


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_a_pack_says_by_which_fit_its_images_became_squares(tmp_path: Path, fit: Any) -> None:
    wide = noise(0, 30, 60, 3)
    pack, _ = packed(folder_of(tmp_path / "s", {"a/0.png": encoded(wide)}), side_px=16, fit=fit)
    assert pack.index.fit == fit
    assert np.array_equal(pack.images[0], fit_image(wide, 16, fit))


def test_images_keep_their_size_if_it_is_one(tmp_path: Path) -> None:
    files = {
        "a/0.png": b"broken",
        "a/1.png": encoded(noise(1, 20, 30, 3)),
        "b/2.png": encoded(noise(2, 30, 20, 3)),
        "b/3.png": encoded(noise(3, 20, 30, 3)),
    }
    pack, _ = packed(folder_of(tmp_path / "s", files), kind="images")
    assert pack.index.fit is None
    assert np.array_equal(pack.images, [noise(1, 20, 30, 3), noise(3, 20, 30, 3)])
    reasons = dict(pack.index.unused)
    assert "not a JPEG" in reasons["a/0.png"]
    assert reasons["b/2.png"] == (
        "has 20 x 30 pixels, the first image has (--side makes one size of all) 30 x 20"
    )


def test_folders_train_and_test_are_splits_only_when_asked(tmp_path: Path) -> None:
    files = {
        f"{top}/{name}/{i}.png": encoded(noise(i, 16, 16, 3))
        for i, (top, name) in enumerate([("d/train", "x"), ("d/test", "x"), ("d/test", "y/z")])
    }
    source = folder_of(tmp_path / "s", files)
    plain, _ = packed(source, kind="images")
    assert plain.index.identities == ("d/test/x", "d/test/y/z", "d/train/x")
    assert set(plain.index.splits) == {"train"}
    pack, _ = packed(source, kind="images", splits=True)
    assert pack.index.paths == ("d/test/x/1.png", "d/test/y/z/2.png", "d/train/x/0.png")
    assert identity_of(pack) == ["d/x", "d/y/z", "d/x"]
    assert pack.index.splits == ("test", "test", "train")
    folder_of(source, {"d/validation/x/3.png": encoded(noise(3, 16, 16, 3))})
    with pytest.raises(SourceError, match="every image lies in a folder train or test"):
        packed(source, kind="images", splits=True)
