"""The format of a pack, and what is said of a folder that is none."""

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import training.data.pack
from training.data.pack import PackError, PackIndex, open_pack, write_pack

Pixels = npt.NDArray[np.uint8]


def crop(seed: int, side: int = 112) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def small_pack(root: Path, images: int = 2) -> PackIndex:
    index = PackIndex(
        source="s", alignment="five_point_112", identities=("a",),
        paths=tuple(f"a/{i}.png" for i in range(images)), labels=(0,) * images,
        splits=("train", "test", *("train",) * images)[:images], unused=(),
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


@pytest.mark.parametrize(
    "change", [{"format_version": 2}, {"format_version": 5}, {"surprise": 1}, {"labels": None}]
)
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


def change_index(root: Path, **values: Any) -> None:
    index = json.loads((root / "index.json").read_text(encoding="utf-8")) | values
    (root / "index.json").write_text(json.dumps(index), encoding="utf-8")


@pytest.mark.parametrize(
    ("version", "unknown"),
    [(1, ("splits", "fit", "detector")), (2, ("fit", "detector")), (3, ("detector",))],
)
def test_a_pack_of_an_older_version_says_what_to_do(
    tmp_path: Path, version: int, unknown: tuple[str, ...]
) -> None:
    """The first had no splits, two had no fit, none a detector; otherwise they are the same."""
    small_pack(tmp_path)
    values = json.loads((tmp_path / "index.json").read_text()) | {"format_version": version}
    for name in unknown:
        del values[name]
    (tmp_path / "index.json").write_text(json.dumps(values))
    with pytest.raises(PackError, match="another version: run `oneglance-train prepare` again"):
        open_pack(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": [0, 1]}, "labels"),
        ({"labels": [0, -1]}, "labels"),
        ({"labels": [0, 0.0]}, "labels"),
        ({"labels": [0, "0"]}, "labels"),
        ({"labels": [0, True]}, "labels"),
        ({"splits": ["train", "val"]}, "splits"),
        ({"alignment": "five_points"}, "alignment"),
        ({"fit": "pad"}, "fit"),
        ({"alignment": "none", "fit": "squeeze"}, "fit"),
        ({"alignment": "none", "fit": ""}, "fit"),
        ({"splits": ["train"]}, "incomplete"),
        ({"labels": [0]}, "incomplete"),
        ({"labels": 3}, "broken index"),
        ({"unused": [["a"]]}, "broken index"),
    ],
)
def test_an_index_that_contradicts_itself_is_refused(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    small_pack(tmp_path)
    open_pack(tmp_path)
    change_index(tmp_path, **change)
    with pytest.raises(PackError, match=words):
        open_pack(tmp_path)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 112, 112), np.uint8),
        np.zeros((2, 112, 112, 4), np.uint8),
        np.zeros((2, 3, 112, 112), np.uint8),
        np.zeros((2, 112, 112, 3), np.float32),
        np.zeros((2, 112, 112, 3), np.int8),
    ],
)
def test_images_of_another_kind_are_refused(tmp_path: Path, images: npt.NDArray[Any]) -> None:
    small_pack(tmp_path)
    np.save(tmp_path / "images.npy", images)
    with pytest.raises(PackError, match=r"holds uint8 \(N, H, W, 3\)"):
        open_pack(tmp_path)


@pytest.mark.parametrize("shape", [(28, 28), (32, 48), (112, 112)])
def test_images_of_any_one_size_come_back_with_every_name(
    tmp_path: Path, shape: tuple[int, int]
) -> None:
    index = PackIndex(
        source="Zoë 林.zip", alignment="none", identities=("Šķēle", "林", "🙂"),
        paths=("Šķēle/ä.png", "林/1.png", "🙂/\\ \".png"), labels=(0, 1, 2),
        splits=("train", "test", "train"), unused=(("ж/x.png", "is empty"),),
    )  # fmt: skip
    pixels = np.random.default_rng(0).integers(0, 256, (3, *shape, 3), dtype=np.uint8)
    write_pack(tmp_path / "new" / "pack", index, pixels)
    pack = open_pack(tmp_path / "new" / "pack")
    assert pack.index == index
    assert np.array_equal(pack.images, pixels)
    assert pack.labels.tolist() == [0, 1, 2]


def test_rows_become_tensors_without_a_warning_and_the_file_stays(tmp_path: Path) -> None:
    small_pack(tmp_path)
    images = open_pack(tmp_path).images
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = torch.from_numpy(images[:1])
    rows.zero_()
    assert np.array_equal(open_pack(tmp_path).images[0], crop(0))


def test_a_pack_that_the_kernel_promises_no_memory_for_is_mapped_for_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pack(tmp_path)
    loaded, modes = np.load, []

    def refusing(path: Path, mmap_mode: str) -> Any:
        modes.append(mmap_mode)
        if mmap_mode == "c":
            raise OSError(12, "Cannot allocate memory")
        return loaded(path, mmap_mode=mmap_mode)

    monkeypatch.setattr(training.data.pack.np, "load", refusing)
    assert np.array_equal(open_pack(tmp_path).images[1], crop(1))
    assert modes == ["c", "r"]


def test_what_belonged_to_the_older_pack_goes(tmp_path: Path) -> None:
    small_pack(tmp_path)
    for name in ("targets.npy", "pairs.txt"):
        (tmp_path / name).write_bytes(b"of other images")
    small_pack(tmp_path, images=3)
    assert sorted(os.listdir(tmp_path)) == ["images.npy", "index.json"]
    assert len(open_pack(tmp_path).images) == 3
