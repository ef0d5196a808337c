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


def test_a_box_is_clipped_to_the_photo() -> None:
    cut = np.ascontiguousarray(astronaut()[80:200, 195:330])
    (face,) = detector().detect(cut)
    left, top, right, bottom = face.box
    assert (left, top) == (0, 0)
    assert right <= 135
    assert bottom <= 120


def test_a_strip_that_is_shrunk_below_the_smallest_face_has_none() -> None:
    assert detector().detect(np.full((2000, 30, 3), 90, dtype=np.uint8)) == []


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
