"""What measurements put side by side: the same crops to each, and clear words where it is not."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import contenders
from benchmarks.contenders import FACES, Contender, bundle_at, bundle_contender, pack_at
from benchmarks.lfw_people import DataMissingError
from benchmarks.training_pack import wave_pack
from contract.bundle import load_bundle
from training.data.pack import PackError


def test_a_pack_is_embedded_in_order_and_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contenders, "BATCH", 3)
    seen = []

    def embed(crops: np.ndarray) -> np.ndarray:
        seen.append(len(crops))
        return crops.reshape(len(crops), -1).astype(np.float32)

    images = np.arange(7 * 12, dtype=np.uint8).reshape(7, 2, 2, 3)
    found = Contender(name="plain", d_max=2.0, embed=embed, manifest=None).embed_all(images)
    assert seen == [3, 3, 1]
    np.testing.assert_array_equal(found, images.reshape(7, 12))


def test_a_bundle_is_what_its_manifest_says(tiny_bundle: Path) -> None:
    contender = bundle_contender(tiny_bundle)
    assert contender.manifest == load_bundle(tiny_bundle).manifest
    assert (contender.name, contender.d_max) == ("tiny", 2.0)
    crops = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
    np.testing.assert_allclose(np.linalg.norm(contender.embed_all(crops), axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("oneglance-faces-resnet", "make bundle-faces-resnet"),
        ("mobilenet-v2-imagenet", "make import-imagenet"),
        ("mine", "name a folder"),
    ],
)
def test_a_missing_bundle_names_the_command(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(DataMissingError, match=words):
        bundle_at(tmp_path / name)


def test_a_missing_and_an_old_pack_name_the_command(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="make pack-lfw"):
        pack_at(tmp_path / "lfw")
    pack = wave_pack(tmp_path / "lfw", identities=2, images_each=1, side_px=8)
    np.testing.assert_array_equal(pack_at(pack.root).images, pack.images)
    index = json.loads((pack.root / "index.json").read_text())
    (pack.root / "index.json").write_text(json.dumps(index | {"format_version": 1}))
    with pytest.raises(PackError, match="make pack-lfw"):
        pack_at(pack.root)


def test_the_default_is_the_bundle_that_is_served() -> None:
    assert FACES.name == "oneglance-faces"
    assert (FACES / "manifest.json").is_file()
