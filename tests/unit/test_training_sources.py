"""Folders of images of any size."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.fitting import fit_image
from tests.source_files import encoded, folder_of, identity_of, noise, packed, zip_of
from training.data.sources.base import SourceError


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
