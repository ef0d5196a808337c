"""Photos become crops of their central face."""

from pathlib import Path

import numpy as np
import pytest

from contract.alignment import TEMPLATE
from contract.detection.base import DetectedFace
from tests.source_files import folder_of
from tests.unit.training_prepare.conftest import (
    FILES,
    FakeDetector,
    Pixels,
    aligned,
    crop,
    face,
    photo,
    png,
)
from training.data.crops import central_face
from training.data.journal import JournalError
from training.data.pack import open_pack
from training.data.prepare import PrepareConfig, prepare
from training.data.workers import PreparationError


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
