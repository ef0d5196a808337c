"""The second opinion on a pose: the mirror image of the face, wherever it is in the photo."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from contract.alignment import TEMPLATE
from contract.detection.base import DetectedFace
from service.quality.mirrored import SIDE_PX, mirrored_pose, with_mirrored_pose
from service.quality.pose import pose
from tests.unit.test_service_quality_measures import GOOD, seen_from

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

PHOTO = np.zeros((400, 600, 3), np.uint8)


class MarkDetector:
    """Finds a face of the landmarks `seen`, around the middle of each bright mark.

    `seen` is as the mirror image shows it, for a mark of 1 pixel a pixel of the photo.
    """

    name = "marks"

    def __init__(self, seen: Callable[[float], Points]) -> None:
        self._seen = seen
        self.sides: list[int] = []

    def detect(self, image_HW3: Pixels) -> list[DetectedFace]:
        self.sides.append(max(image_HW3.shape[:2]))
        rows, columns = np.nonzero(image_HW3[..., 0] > 100)
        if not len(rows):
            return []
        middle = np.array([columns.mean(), rows.mean()])
        points = self._seen(float(np.ptp(columns) + 1)) + middle
        box = (*(middle - 20), *(middle + 20))
        return [DetectedFace(tuple(map(float, box)), points.astype(np.float32), 0.9)]  # type: ignore[arg-type]


def marked(x: int, y: int, side: int = 9) -> tuple[Pixels, DetectedFace]:
    """A photo with a mark of `side` pixels in the middle of a face that is 100 pixels high."""
    photo = PHOTO.copy()
    half = side // 2
    photo[y - half : y + half + 1, x - half : x + half + 1] = 200
    box = (x - 40.0, y - 50.0, x + 40.0, y + 50.0)
    return photo, DetectedFace(box, (TEMPLATE - TEMPLATE.mean(axis=0) + (x, y)).astype("f4"), 1.0)


def turned(yaw: float, pitch: float, roll: float) -> Callable[[float], Points]:
    points = seen_from(yaw, pitch, roll)
    return lambda _: points - points.mean(axis=0)


@pytest.mark.parametrize("place", [(300, 200), (45, 55), (555, 345), (150, 60)])
def test_a_pose_is_turned_back_wherever_the_face_is(place: tuple[int, int]) -> None:
    photo, face = marked(*place)
    found = mirrored_pose(photo, face, MarkDetector(turned(-30, 12, 5)))
    assert found is not None
    assert (found.yaw, found.pitch, found.roll) == pytest.approx((30, 12, -5), abs=0.01)


def test_the_mean_of_both_is_taken_of_yaw_and_pitch() -> None:
    photo, face = marked(300, 200)
    quality = replace(GOOD, yaw=40, pitch=10, roll=3)
    found = with_mirrored_pose(photo, face, quality, MarkDetector(turned(-30, 20, 8)))
    assert (found.yaw, found.pitch) == pytest.approx((35, 15), abs=0.01)
    assert replace(found, yaw=40, pitch=10) == quality


def test_without_a_face_in_the_mirror_all_stays_as_it_is() -> None:
    _, face = marked(300, 200)
    quality = replace(GOOD, yaw=40)
    nothing = MarkDetector(turned(0, 0, 0))
    assert with_mirrored_pose(PHOTO, face, quality, nothing) == quality


def test_another_face_of_the_photo_is_no_opinion() -> None:
    photo, face = marked(300, 200)
    other, _ = marked(225, 120)
    assert mirrored_pose(other, face, MarkDetector(turned(0, 0, 0))) is None
    assert mirrored_pose(photo, face, MarkDetector(turned(0, 0, 0))) is not None


def test_a_large_face_is_searched_for_in_a_small_picture() -> None:
    photo = np.zeros((3000, 4000, 3), np.uint8)
    photo[1450:1550, 1950:2050] = 200
    points = (TEMPLATE * 10 + (1440, 800)).astype("f4")
    face = DetectedFace((1500.0, 900.0, 2500.0, 2100.0), points, 1.0)
    detector = MarkDetector(turned(10, 0, 0))
    found = mirrored_pose(photo, face, detector)
    assert found is not None
    assert found.yaw == pytest.approx(-10, abs=0.01)
    assert detector.sides == [pytest.approx(SIDE_PX, abs=30)]
    assert max(detector.sides) <= SIDE_PX


def test_the_mirror_of_a_pose_is_what_the_generic_face_says() -> None:
    for yaw, pitch, roll in ((20.0, 5.0, 3.0), (-50.0, -10.0, -20.0)):
        points = seen_from(yaw, pitch, roll)
        mirror = (points * [-1, 1])[[1, 0, 2, 4, 3]]
        seen = pose(mirror)
        assert (seen.yaw, seen.pitch, seen.roll) == pytest.approx((-yaw, pitch, -roll), abs=1e-4)
