"""CIFAR-10 from its pickles, which run nothing, and from JPEG files."""

import io
import pickle
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.source_files import encoded, folder_of, identity_of, noise, packed, zip_of
from training.data.sources.base import SourceError
from training.data.sources.cifar10 import CLASSES


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
