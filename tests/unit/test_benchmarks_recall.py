"""Which box counts as LFW's subject, and what is counted of a photo."""

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.pictures import encoded
from benchmarks.recall import FACE_PX, WAYS, shows_subject, tallied
from contract.detection.base import DetectedFace

Pixels = npt.NDArray[np.uint8]


def face(left: float, top: float, side: float) -> DetectedFace:
    points = np.zeros((5, 2), dtype=np.float32)
    return DetectedFace((left, top, left + side, top + side), points, 0.9)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (face(80, 80, 90), True),
        (face(126, 80, 90), False),  # beside the middle
        (face(105, 105, 40), False),  # too small
        (face(5, 5, 240), False),  # nearly the whole photo
    ],
)
def test_a_box_is_the_subject_s_by_its_place_and_size(found: DetectedFace, expected: bool) -> None:
    assert shows_subject(found, 250, 250, FACE_PX) is expected


def test_each_way_is_searched_and_what_lies_elsewhere_is_counted() -> None:
    class Two:
        """Finds the subject and a bystander; blind to photos that were shrunk."""

        name = "two"

        def __init__(self) -> None:
            self.shapes: list[tuple[int, ...]] = []

        def detect(self, image_HW3: Pixels) -> list[DetectedFace]:
            self.shapes.append(image_HW3.shape)
            return [face(80, 80, 90), face(0, 0, 30)] if image_HW3.shape[0] == 250 else []

    detector = Two()
    photos = [encoded(np.full((250, 250, 3), 90, dtype=np.uint8))]
    tallies = tallied({"ours": detector}, photos)
    assert detector.shapes == [(250, 250, 3), (250, 250, 3), (62, 62, 3), (62, 62, 3)]
    assert [tallies["ours", way.name].recall for way in WAYS] == [1, 1, 0, 0]
    assert [tallies["ours", way.name].elsewhere for way in WAYS] == [1, 1, 0, 0]
