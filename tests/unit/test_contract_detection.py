"""MTCNN behind the seam: one public-domain portrait, and pictures without any face."""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from skimage.data import astronaut

from contract.detection.base import DetectedFace
from contract.detection.mtcnn import MtcnnDetector

Pixels = npt.NDArray[np.uint8]

# By eye, in the 512 x 512 portrait: middle of the left and right eye (as seen), tip of the nose.
EYES_AND_NOSE = np.array([[205, 104], [246, 104], [226, 129]])


@functools.cache
def detector(max_side_px: int = 512) -> MtcnnDetector:
    return MtcnnDetector(max_side_px=max_side_px)


@functools.cache
def portrait_faces(max_side_px: int = 512) -> list[DetectedFace]:
    return detector(max_side_px).detect(astronaut())


def test_the_astronaut_has_one_face_with_its_parts_inside_the_box() -> None:
    (face,) = portrait_faces()
    left, top, right, bottom = face.box
    assert 0.9 < face.score <= 1
    for x, y in face.landmarks:
        assert left < x < right
        assert top < y < bottom
    assert face.landmarks.dtype == np.float32
    assert np.abs(face.landmarks[:3] - EYES_AND_NOSE).max() < 8


def test_left_and_right_are_as_seen_in_the_picture() -> None:
    (face,) = portrait_faces()
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_a_mirrored_picture_gives_the_mirrored_face() -> None:
    (face,) = portrait_faces()
    (mirrored,) = detector().detect(np.ascontiguousarray(astronaut()[:, ::-1]))
    swapped = mirrored.landmarks[[1, 0, 2, 4, 3]]
    expected = np.stack([511 - face.landmarks[:, 0], face.landmarks[:, 1]], axis=1)
    assert np.abs(swapped - expected).max() < 6


def test_a_photo_searched_at_a_smaller_side_gives_places_in_the_photo() -> None:
    (face,) = portrait_faces()
    (shrunk,) = portrait_faces(max_side_px=256)
    assert np.abs(np.array(shrunk.box) - face.box).max() < 12
    assert np.abs(shrunk.landmarks - face.landmarks).max() < 6


def test_sides_that_shrink_unevenly_map_back_each_by_its_own_factor() -> None:
    wide = np.zeros((200, 1001, 3), dtype=np.uint8)
    wide[:, 400:600] = astronaut()[20:220, 125:325]
    (face,) = detector(max_side_px=512).detect(wide)
    expected = EYES_AND_NOSE + np.array([400 - 125, -20])
    assert np.abs(face.landmarks[:3] - expected).max() < 8


def test_two_faces_come_largest_first() -> None:
    portrait = astronaut()[20:220, 125:325]
    both = np.zeros((200, 320, 3), dtype=np.uint8)
    both[40:140, :100], both[:, 120:] = portrait[::2, ::2], portrait
    faces = detector().detect(both)
    assert len(faces) == 2
    assert faces[0].area > 2 * faces[1].area
    assert faces[0].box[0] > 120 > faces[1].box[2]


def test_a_box_is_clipped_to_the_photo() -> None:
    cut = np.ascontiguousarray(astronaut()[80:200, 195:330])
    (face,) = detector().detect(cut)
    left, top, right, bottom = face.box
    assert (left, top) == (0, 0)
    assert right <= 135
    assert bottom <= 120


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (300, 5), (19, 19), (19, 500), (2000, 30)])
def test_photos_smaller_than_the_smallest_face_have_none(shape: tuple[int, int]) -> None:
    assert detector().detect(np.full((*shape, 3), 90, dtype=np.uint8)) == []


@pytest.mark.parametrize("shape", [(20, 20), (20, 300), (64, 64), (90, 33), (200, 150)])
@pytest.mark.parametrize("kind", ["noise", "black", "white", "stripes"])
def test_pictures_of_nothing_never_raise(shape: tuple[int, int], kind: str) -> None:
    rng = np.random.default_rng(sum(shape))
    picture = {
        "noise": rng.integers(0, 256, (*shape, 3), dtype=np.uint8),
        "black": np.zeros((*shape, 3), dtype=np.uint8),
        "white": np.full((*shape, 3), 255, dtype=np.uint8),
        "stripes": np.broadcast_to(np.arange(shape[1])[:, None] % 2 * 255, (*shape, 3)),
    }[kind]
    assert detector().detect(np.ascontiguousarray(picture, dtype=np.uint8)) == []


@pytest.mark.parametrize("failure", [IndexError, RuntimeError])
def test_where_facenet_loses_count_the_photo_is_searched_in_a_frame(
    monkeypatch: pytest.MonkeyPatch, failure: type[Exception]
) -> None:
    own = MtcnnDetector(max_side_px=256)
    call, seen = own._call, list[tuple[int, ...]]()

    def fails_once(image: Pixels) -> Any:
        seen.append(image.shape)
        if len(seen) == 1:
            raise failure("list index out of range")
        return call(image)

    monkeypatch.setattr(own, "_call", fails_once)
    (face,) = own.detect(astronaut())
    assert seen == [(256, 256, 3), (512, 512, 3)]
    (expected,) = portrait_faces(max_side_px=256)
    assert np.abs(face.landmarks - expected.landmarks).max() < 8
    assert np.abs(np.array(face.box) - expected.box).max() < 16


def test_a_frame_without_a_face_finds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    own = MtcnnDetector()
    call, calls = own._call, list[int]()

    def fails_once(image: Pixels) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise IndexError
        return call(image)

    monkeypatch.setattr(own, "_call", fails_once)
    assert own.detect(np.zeros((40, 40, 3), dtype=np.uint8)) == []


@pytest.mark.parametrize("sizes", [{"min_face_px": 11}, {"min_face_px": 50, "max_side_px": 49}])
def test_sizes_that_exclude_every_face_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="min_face_px"):
        MtcnnDetector(**sizes)
