"""Data sets of idx files: MNIST, Fashion-MNIST and EMNIST."""

import gzip
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torchvision.datasets.mnist import read_image_file, read_label_file

from tests.source_files import Pixels, folder_of, identity_of, noise, packed, zip_of
from training.data.pack import Pack
from training.data.sources.base import SourceError


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
