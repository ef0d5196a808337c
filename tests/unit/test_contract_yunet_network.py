"""YuNet's network beside OpenCV's own detector of the same file: the same rows."""

import functools

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from contract.detection.yunet_model import read_yunet
from contract.detection.yunet_network import Pixels, Rows, YunetNetwork
from tests.crowd import crowd

LEAST_SCORE, OVERLAP, MOST = 0.6, 0.3, 5_000


@functools.cache
def network(least_score: float = LEAST_SCORE) -> YunetNetwork:
    return YunetNetwork(read_yunet(), least_score=least_score, overlap=OVERLAP, most=MOST)


def by_opencv(image: Pixels, least_score: float) -> Rows:
    height, width = image.shape[:2]
    data: npt.NDArray[np.uint8] = np.frombuffer(read_yunet(), dtype=np.uint8)
    nothing = np.zeros(0, dtype=np.uint8)
    detector = cv2.FaceDetectorYN.create(
        "onnx", data, nothing, (width, height), least_score, OVERLAP, MOST
    )
    _, rows = detector.detect(np.ascontiguousarray(image[:, :, ::-1]))
    return np.zeros((0, 15), dtype=np.float32) if rows is None else rows


@pytest.mark.parametrize("shape", [(413, 500), (413, 333), (120, 500), (33, 31), (64, 64), (1, 1)])
def test_rows_are_those_of_opencv(shape: tuple[int, int]) -> None:
    image = np.ascontiguousarray(crowd()[: shape[0], : shape[1]])
    found = network().faces(image)
    np.testing.assert_allclose(found, by_opencv(image, LEAST_SCORE), atol=0.01)
    assert found.dtype == np.float32


def test_of_many_overlapping_boxes_the_same_ones_are_left() -> None:
    # At so low a limit each face, and much else, has dozens of boxes.
    found = network(0.05).faces(crowd())
    assert len(found) > len(network().faces(crowd())) >= 3
    np.testing.assert_allclose(found, by_opencv(crowd(), 0.05), atol=0.01)
