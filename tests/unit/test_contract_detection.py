"""MTCNN behind the seam: one public-domain portrait, and pictures without any face."""

import functools

import numpy as np
import pytest
from skimage.data import astronaut

from contract.detection.mtcnn import MtcnnDetector


@functools.cache
def detector(max_side_px: int = 512) -> MtcnnDetector:
    return MtcnnDetector(max_side_px=max_side_px)


def test_a_box_is_clipped_to_the_photo() -> None:
    cut = np.ascontiguousarray(astronaut()[80:200, 195:330])
    (face,) = detector().detect(cut)
    left, top, right, bottom = face.box
    assert (left, top) == (0, 0)
    assert right <= 135
    assert bottom <= 120


def test_a_strip_that_is_shrunk_below_the_smallest_face_has_none() -> None:
    assert detector().detect(np.full((2000, 30, 3), 90, dtype=np.uint8)) == []


def test_a_smallest_face_of_the_whole_photo_is_smaller_in_what_is_searched() -> None:
    # The face is 110 pixels high in the photo, and half of that where it is searched.
    assert len(MtcnnDetector(max_side_px=256, min_face_px=90).detect(astronaut())) == 1
    assert MtcnnDetector(max_side_px=256, min_face_px=250).detect(astronaut()) == []


@pytest.mark.parametrize("sizes", [{"min_face_px": 11}, {"min_face_px": 50, "max_side_px": 49}])
def test_sizes_that_exclude_every_face_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="min_face_px"):
        MtcnnDetector(**sizes)
