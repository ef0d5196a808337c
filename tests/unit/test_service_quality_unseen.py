"""Why no face was found: faces that show only when the photo is looked at in another way."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest

from contract.alignment import CROP_SIDE_PX, TEMPLATE
from contract.detection.base import DetectedFace
from service.quality import unseen
from service.quality.looks import ENLARGED_SIDE_PX, SIDE_PX, looks
from service.quality.policy import OFF, QualityPolicies, QualityPolicy
from service.quality.unseen import why_unseen, why_unsure
from service.settings import Settings
from tests.conftest import BlockDetector

Pixels = npt.NDArray[np.uint8]

# Without an end in time, so that a slow machine looks as often.
STANDARD = QualityPolicies(Settings(quality_look_again_ms=10**9)).named("standard")


class Picky(BlockDetector):
    """Finds the bright block where a test of the pixels says so; `score` is what it gives it."""

    def __init__(self, sees: Callable[[Pixels, DetectedFace], bool], score: float = 0.99) -> None:
        super().__init__()
        self._sees, self._score = sees, score
        self.looked = 0

    def detect(self, image_HW3: Pixels) -> list[DetectedFace]:
        self.looked += 1
        return [
            DetectedFace(face.box, face.landmarks, self._score)
            for face in super().detect(image_HW3)
            if self._sees(image_HW3, face)
        ]


def photo_of(side_px: int, luma: int = 180, size: tuple[int, int] = (200, 260)) -> Pixels:
    """A block of fine noise at (30, 50) on black."""
    photo = np.zeros((*size, 3), np.uint8)
    noise = np.random.default_rng(0).uniform(0.8, 1.2, (side_px, side_px, 1))
    photo[50 : 50 + side_px, 30 : 30 + side_px] = np.clip(luma * noise, 0, 255).astype(np.uint8)
    return photo


def reasons(photo: Pixels, detector: BlockDetector, policy: QualityPolicy = STANDARD) -> list[str]:
    return [shortcoming.reason for shortcoming in why_unseen(photo, detector, policy)]


def test_a_face_seen_only_enlarged_is_too_small() -> None:
    detector = Picky(lambda _, face: face.box[2] - face.box[0] > 50)
    assert "face_too_small" in reasons(photo_of(24), detector)


def test_a_face_seen_only_brightened_is_too_dark() -> None:
    detector = Picky(lambda pixels, _: pixels.max() > 120)
    (found,) = why_unseen(photo_of(112, luma=20), detector, STANDARD)
    assert found.reason == "low_brightness"
    assert "0.15" in found.detail


def test_a_face_seen_only_upright_leans_too_far() -> None:
    # A quarter turn brings the block's place from the left to the bottom or to the top.
    photo = photo_of(112, size=(162, 400))
    detector = Picky(lambda pixels, _: pixels.shape[0] > pixels.shape[1])
    found = why_unseen(photo, detector, STANDARD)
    assert [shortcoming.reason for shortcoming in found] == ["extreme_pose"]
    assert "roll of" in found[0].detail
    assert "90 degrees" in found[0].detail


def test_a_face_without_a_shortcoming_that_shows_only_otherwise_is_hard_to_see() -> None:
    detector = Picky(lambda pixels, _: pixels.shape[0] < 120)
    (found,) = why_unseen(photo_of(112), detector, STANDARD)
    assert found.reason == "low_detection_score"
    assert "reduced" in found.detail


def test_the_look_whose_face_has_the_highest_score_is_believed() -> None:
    class Turning(BlockDetector):
        """Doubtful of every block, but for one in a photo that was turned upside down."""

        def detect(self, image_HW3: Pixels) -> list[DetectedFace]:
            right = 0.3 * image_HW3.shape[1]
            return [
                DetectedFace(face.box, face.landmarks, 0.992 if face.box[0] > right else 0.9)
                for face in super().detect(image_HW3)
            ]

    found = why_unseen(photo_of(112), Turning(), STANDARD)
    assert [shortcoming.reason for shortcoming in found] == ["extreme_pose"]
    assert "180" in found[0].detail


@pytest.mark.parametrize(("score", "expected"), [(0.996, ["extreme_pose"]), (0.99, [])])
def test_an_unsure_face_lies_on_its_side_where_a_turned_photo_shows_one_for_certain(
    score: float, expected: list[str]
) -> None:
    photo = photo_of(112, size=(162, 400))
    detector = Picky(lambda pixels, _: pixels.shape[0] > pixels.shape[1], score)
    found = why_unsure(photo, detector, STANDARD)
    assert [shortcoming.reason for shortcoming in found] == expected
    assert all("90 degrees" in shortcoming.detail for shortcoming in found)


def test_an_unsure_face_of_an_upright_photo_is_explained_by_nothing_else() -> None:
    assert why_unsure(photo_of(112), Picky(lambda *_: False), STANDARD) == ()
    never = replace(STANDARD, look_again_ms=0)
    detector = Picky(lambda *_: True, score=0.999)
    assert why_unsure(photo_of(112), detector, never) == ()
    assert detector.looked == 0


def test_no_face_in_any_look_is_no_face() -> None:
    detector = Picky(lambda *_: False)
    (found,) = why_unseen(photo_of(112), detector, STANDARD)
    assert found.reason == "no_face"
    assert "260 x 200" in found.detail
    assert detector.looked == len(list(looks(photo_of(112))))


def test_a_doubtful_face_of_another_look_explains_nothing() -> None:
    assert reasons(photo_of(24), Picky(lambda *_: True, score=0.5)) == ["no_face"]


def test_where_no_quality_is_asked_nothing_is_looked_at_again() -> None:
    detector = Picky(lambda *_: True)
    assert reasons(photo_of(24), detector, OFF) == ["no_face"]
    assert detector.looked == 0


@pytest.mark.parametrize(("policy", "smallest"), [(OFF, 12), (STANDARD, 32)])
def test_a_photo_smaller_than_any_face_taken_needs_no_look(
    policy: QualityPolicy, smallest: int
) -> None:
    detector = Picky(lambda *_: True)
    small = np.zeros((smallest - 1, 300, 3), np.uint8)
    assert reasons(small, detector, policy) == ["face_too_small"]
    assert detector.looked == 0
    assert reasons(np.zeros((smallest, 300, 3), np.uint8), detector, policy) == ["no_face"]


@pytest.mark.parametrize(
    ("look_again_ms", "looked"), [(0, 0), (1, 1), (1_999, 1), (2_000, 2), (3_999, 3), (4_000, 4)]
)
def test_no_look_begins_that_would_end_too_late(
    monkeypatch: pytest.MonkeyPatch, look_again_ms: int, looked: int
) -> None:
    """Each look takes a second, by this clock."""
    seconds = count()
    monkeypatch.setattr(unseen, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    detector = Picky(lambda *_: False)
    policy = replace(STANDARD, look_again_ms=look_again_ms)
    assert reasons(photo_of(112), detector, policy) == ["no_face"]
    assert detector.looked == looked


@pytest.mark.parametrize("size", [(90, 140), (400, 300), (1500, 2000), (3, 5000)])
def test_every_look_knows_the_way_back_and_is_bounded(size: tuple[int, int]) -> None:
    """A bright spot in the photo is found in every look, where the way back says."""
    height, width = size
    photo = np.full((height, width, 3), 30, np.uint8)
    spot = np.array([int(width * 0.7), int(height * 0.25)])
    around = max(2, max(size) // 60)
    top, left = max(0, spot[1] - around), spot[0] - around
    photo[top : spot[1] + around + 1, left : spot[0] + around + 1] = 250
    middle = np.array([spot[0], (top + min(height, spot[1] + around + 1) - 1) / 2])
    names = []
    for look in looks(photo):
        names.append(look.name)
        bright = look.pixels[..., 0].astype(float) > 140
        ys, xs = np.nonzero(bright)
        assert len(xs)
        back = look.to_photo(np.array([xs.mean(), ys.mean()]))
        assert np.abs(back - middle).max() <= max(1.5, max(size) / 120)
        longest = max(look.pixels.shape[:2])
        assert longest <= (ENLARGED_SIDE_PX if look.name == "enlarged" else SIDE_PX)
    assert len(names) == len(set(names)) + 1  # Two are reduced.
    assert ("enlarged" in names) == (max(size) < ENLARGED_SIDE_PX / 1.4)
    assert "brightened" in names


def test_a_found_face_is_measured_in_the_photo_as_it_is() -> None:
    """Template landmarks in a block of 40 pixels: the same crop, whatever look showed it."""
    seen: list[DetectedFace] = []
    detector = Picky(lambda *_: True)
    for look in looks(photo_of(40)):
        face = unseen._largest(detector, look)
        if face is not None and not look.name.startswith("turned"):
            seen.append(face)
    assert len(seen) >= 3
    expected = TEMPLATE / CROP_SIDE_PX * 40 + (30, 50)
    for face in seen:
        assert np.abs(face.landmarks - expected).max() < 2.5
        assert np.abs(np.array(face.box) - (30, 50, 70, 90)).max() < 4
