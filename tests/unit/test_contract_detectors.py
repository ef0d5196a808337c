"""What every face detector must do, on one public-domain portrait and on pictures of nothing."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from skimage.data import astronaut

from contract.detection.base import DetectedFace, FaceDetector
from contract.detection.mtcnn import MtcnnDetector
from contract.detection.yunet import YunetDetector

# By eye, in the 512 x 512 portrait: middle of the left and right eye (as seen), tip of the nose.
EYES_AND_NOSE = np.array([[205, 104], [246, 104], [226, 129]])


@dataclass(frozen=True)
class Kind:
    """A detector by its longest side, and how far off it may be, in pixels of the portrait."""

    make: Callable[[int], FaceDetector]
    least_score: float
    mirrored_px: float
    smaller_px: float


@functools.cache
def mtcnn(max_side_px: int) -> FaceDetector:
    return MtcnnDetector(max_side_px=max_side_px)


@functools.cache
def yunet(max_side_px: int) -> FaceDetector:
    return YunetDetector(max_side_px=max_side_px)


@functools.cache
def portrait_faces(kind: Kind, max_side_px: int = 512) -> list[DetectedFace]:
    return kind.make(max_side_px).detect(astronaut())


KINDS = {
    "mtcnn": Kind(mtcnn, least_score=0.9, mirrored_px=6, smaller_px=6),
    "yunet": Kind(yunet, least_score=0.99, mirrored_px=8, smaller_px=8),
}
pytestmark = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def test_the_astronaut_has_one_face_with_its_parts_inside_the_box(kind: Kind) -> None:
    (face,) = portrait_faces(kind)
    left, top, right, bottom = face.box
    assert kind.least_score < face.score <= 1
    for x, y in face.landmarks:
        assert left < x < right
        assert top < y < bottom
    assert face.landmarks.dtype == np.float32
    assert np.abs(face.landmarks[:3] - EYES_AND_NOSE).max() < 8


def test_left_and_right_are_as_seen_in_the_picture(kind: Kind) -> None:
    (face,) = portrait_faces(kind)
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_a_mirrored_picture_gives_the_mirrored_face(kind: Kind) -> None:
    (face,) = portrait_faces(kind)
    (mirrored,) = kind.make(512).detect(np.ascontiguousarray(astronaut()[:, ::-1]))
    swapped = mirrored.landmarks[[1, 0, 2, 4, 3]]
    expected = np.stack([511 - face.landmarks[:, 0], face.landmarks[:, 1]], axis=1)
    assert np.abs(swapped - expected).max() < kind.mirrored_px


def test_a_photo_searched_at_a_smaller_side_gives_places_in_the_photo(kind: Kind) -> None:
    (face,) = portrait_faces(kind)
    (shrunk,) = portrait_faces(kind, max_side_px=256)
    assert np.abs(np.array(shrunk.box) - face.box).max() < 12
    assert np.abs(shrunk.landmarks - face.landmarks).max() < kind.smaller_px


def test_sides_that_shrink_unevenly_map_back_each_by_its_own_factor(kind: Kind) -> None:
    wide = np.zeros((200, 1001, 3), dtype=np.uint8)
    wide[:, 400:600] = astronaut()[20:220, 125:325]
    (face,) = kind.make(512).detect(wide)
    expected = EYES_AND_NOSE + np.array([400 - 125, -20])
    assert np.abs(face.landmarks[:3] - expected).max() < 8


def test_two_faces_come_largest_first(kind: Kind) -> None:
    portrait = astronaut()[20:220, 125:325]
    both = np.zeros((200, 320, 3), dtype=np.uint8)
    both[40:140, :100], both[:, 120:] = portrait[::2, ::2], portrait
    faces = kind.make(512).detect(both)
    assert len(faces) == 2
    assert faces[0].area > 2 * faces[1].area
    assert faces[0].box[0] > 120 > faces[1].box[2]


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (300, 5), (19, 19), (19, 500), (2000, 19)])
def test_photos_smaller_than_the_smallest_face_have_none(
    kind: Kind, shape: tuple[int, int]
) -> None:
    assert kind.make(512).detect(np.full((*shape, 3), 90, dtype=np.uint8)) == []


@pytest.mark.parametrize("shape", [(20, 20), (20, 300), (64, 64), (90, 33), (200, 150), (30, 4000)])
@pytest.mark.parametrize("filling", ["noise", "black", "white", "stripes"])
def test_pictures_of_nothing_never_raise(kind: Kind, shape: tuple[int, int], filling: str) -> None:
    rng = np.random.default_rng(sum(shape))
    picture = {
        "noise": rng.integers(0, 256, (*shape, 3), dtype=np.uint8),
        "black": np.zeros((*shape, 3), dtype=np.uint8),
        "white": np.full((*shape, 3), 255, dtype=np.uint8),
        "stripes": np.broadcast_to(np.arange(shape[1])[:, None] % 2 * 255, (*shape, 3)),
    }[filling]
    assert kind.make(512).detect(np.ascontiguousarray(picture, dtype=np.uint8)) == []
