"""The second opinion on a pose: the face at another size and in the mirror, wherever it is."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from contract.alignment import TEMPLATE
from contract.detection.base import DetectedFace
from service.quality.mirrored import FACE_PX, pose_again, with_mirrored_pose
from service.quality.pose import pose
from tests.unit.test_service_quality_measures import GOOD, seen_from

Pixels = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

PHOTO = np.zeros((400, 600, 3), np.uint8)


class MarkDetector:
    """Finds a face around a red mark; a green one to the right of it tells the mirror image.

    as_it_is, mirrored: landmarks of what is found there; nothing is found for None.
    """

    name = "marks"

    def __init__(self, as_it_is: Points | None, mirrored: Points | None) -> None:
        self._points = {False: as_it_is, True: mirrored}
        self.sides: list[int] = []

    def detect(self, image_HW3: Pixels) -> list[DetectedFace]:
        self.sides.append(max(image_HW3.shape[:2]))
        red, green = (np.argwhere(image_HW3[..., channel] > 90) for channel in (0, 1))
        if not len(red):
            return []
        middle, other = red.mean(axis=0)[::-1], green.mean(axis=0)[::-1]
        points = self._points[bool(other[0] > middle[0])]
        if points is None:
            return []
        box = (*(middle - 20), *(middle + 20))
        landmarks = (points - points.mean(axis=0) + middle).astype(np.float32)
        return [DetectedFace(tuple(map(float, box)), landmarks, 0.9)]  # type: ignore[arg-type]


def marked(x: int, y: int, *, photo: Pixels = PHOTO, times: int = 1) -> tuple[Pixels, DetectedFace]:
    """A photo with marks in the middle of a face that is 100 times `times` pixels high."""
    photo, half = photo.copy(), 4 * times
    photo[y - half : y + half + 1, x - half : x + half + 1, 0] = 200
    photo[y - half : y + half + 1, x - 4 * half : x - 2 * half, 1] = 200
    box = (x - 40.0 * times, y - 50.0 * times, x + 40.0 * times, y + 50.0 * times)
    landmarks = (TEMPLATE - TEMPLATE.mean(axis=0)) * times + (x, y)
    return photo, DetectedFace(box, landmarks.astype("f4"), 1.0)


@pytest.mark.parametrize("place", [(300, 200), (45, 55), (555, 345), (150, 60)])
def test_a_pose_is_seen_wherever_the_face_is_and_turned_back(place: tuple[int, int]) -> None:
    photo, face = marked(*place)
    detector = MarkDetector(seen_from(20, 8, 3), seen_from(-30, 12, 5))
    found = pose_again(photo, face, detector, mirrored=False)
    assert found is not None
    assert (found.yaw, found.pitch, found.roll) == pytest.approx((20, 8, 3), abs=0.01)
    found = pose_again(photo, face, detector, mirrored=True)
    assert found is not None
    assert (found.yaw, found.pitch, found.roll) == pytest.approx((30, 12, -5), abs=0.01)


@pytest.mark.parametrize(
    ("as_it_is", "mirrored", "expected"),
    [
        (seen_from(50, 12, 8), seen_from(-30, 20, 8), (40, 16)),
        (None, seen_from(-30, 20, 8), (35, 15)),
        (seen_from(50, 12, 8), None, (45, 11)),
        (None, None, (40, 10)),
    ],
)
def test_the_mean_is_taken_of_yaw_and_pitch_and_what_shows_nothing_is_as_it_was(
    as_it_is: Points | None, mirrored: Points | None, expected: tuple[float, float]
) -> None:
    photo, face = marked(300, 200)
    quality = replace(GOOD, yaw=40, pitch=10, roll=3)
    found = with_mirrored_pose(photo, face, quality, MarkDetector(as_it_is, mirrored))
    assert (found.yaw, found.pitch) == pytest.approx(expected, abs=0.01)
    assert replace(found, yaw=40, pitch=10) == quality


def test_another_face_of_the_photo_is_no_opinion() -> None:
    photo, face = marked(300, 200)
    other, _ = marked(225, 120)
    detector = MarkDetector(seen_from(0, 0, 0), seen_from(0, 0, 0))
    for mirrored in (False, True):
        assert pose_again(other, face, detector, mirrored=mirrored) is None
        assert pose_again(photo, face, detector, mirrored=mirrored) is not None


@pytest.mark.parametrize("times", [1, 12])
def test_small_and_large_faces_are_searched_for_at_one_size(times: int) -> None:
    large = np.zeros((400 * times, 600 * times, 3), np.uint8)
    photo, face = marked(300 * times, 200 * times, photo=large, times=times)
    detector = MarkDetector(seen_from(-10, 0, 0), seen_from(10, 0, 0))
    found = with_mirrored_pose(photo, face, GOOD, detector)
    assert found.yaw == pytest.approx(-10, abs=0.01)
    assert detector.sides == [3 * FACE_PX, 3 * FACE_PX]


def test_the_mirror_of_a_pose_is_what_the_generic_face_says() -> None:
    for yaw, pitch, roll in ((20.0, 5.0, 3.0), (-50.0, -10.0, -20.0)):
        points = seen_from(yaw, pitch, roll)
        mirror = (points * [-1, 1])[[1, 0, 2, 4, 3]]
        seen = pose(mirror)
        assert (seen.yaw, seen.pitch, seen.roll) == pytest.approx((-yaw, pitch, -roll), abs=1e-4)
