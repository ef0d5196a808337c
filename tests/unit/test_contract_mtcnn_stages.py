"""MTCNN's stages beside facenet-pytorch's own loop, and the averages that they look at."""

import functools

import numpy as np
import numpy.typing as npt
import pytest
import torch
from facenet_pytorch import MTCNN

from contract.detection.area_table import AreaTable
from contract.detection.mtcnn_stages import Floats, MtcnnStages, _not_inside
from tests.crowd import crowd

Pixels = npt.NDArray[np.uint8]
MIN_FACE_PX = 20


@functools.cache
def stages() -> MtcnnStages:
    return MtcnnStages(MTCNN(), "cpu")


def test_what_is_found_is_what_facenets_own_loop_finds() -> None:
    own = MTCNN(keep_all=True, min_face_size=MIN_FACE_PX)
    boxes, scores, points = own.detect(crowd(), landmarks=True)
    found = stages().find(crowd(), MIN_FACE_PX)
    order = np.argsort(found[0][:, 0])
    expected = np.argsort(boxes[:, 0].astype(float))
    assert len(boxes) >= 4
    for ours, theirs in zip(found, (boxes, scores, points), strict=True):
        np.testing.assert_allclose(ours[order], theirs[expected].astype(float), atol=2e-3)


@pytest.mark.parametrize("shape", [(1, 1), (19, 300), (40, 40), (24, 500)])
def test_where_nothing_is_there_to_propose_nothing_is_found(shape: tuple[int, int]) -> None:
    boxes, scores, points = stages().find(np.zeros((*shape, 3), dtype=np.uint8), MIN_FACE_PX)
    assert (boxes.shape, scores.shape, points.shape) == ((0, 4), (0,), (0, 5, 2))


def test_a_proposal_beside_the_photo_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # facenet-pytorch's own loop loses count of its proposals there.
    own, beside = stages(), np.array([[-60, 5, -20, 45], [600, 5, 640, 45]], dtype=np.float32)
    proposed = own._proposed

    def with_others(table: AreaTable, least: float) -> Floats:
        return np.concatenate([beside, proposed(table, least)])

    expected = own.find(crowd(), MIN_FACE_PX)
    monkeypatch.setattr(own, "_proposed", with_others)
    for ours, others in zip(own.find(crowd(), MIN_FACE_PX), expected, strict=True):
        np.testing.assert_allclose(ours, others, atol=2e-3)
    monkeypatch.setattr(own, "_proposed", lambda *_: beside)
    assert len(own.find(crowd(), MIN_FACE_PX)[0]) == 0


def test_of_boxes_inside_one_another_the_surest_is_left() -> None:
    boxes = np.array([[0, 0, 99, 99], [10, 10, 29, 29], [90, 90, 189, 189]], dtype=np.float32)
    score = np.array([0.8, 0.9, 0.7], dtype=np.float32)
    assert _not_inside(boxes, score, 0.7).tolist() == [1, 2]
    assert _not_inside(boxes[:0], score[:0], 0.7).tolist() == []


@pytest.mark.parametrize("size", [(24, 24), (5, 7), (61, 83), (100, 90)])
def test_means_are_those_of_torchs_area_interpolation(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (61, 83, 3), dtype=np.uint8)
    boxes = np.array([[0, 0, 83, 61], [3, 7, 60, 40], [82, 0, 83, 61], [10, 60, 12, 61]])
    table = AreaTable(image)
    found = table.means(boxes, size)
    for part, (left, top, right, bottom) in zip(found, boxes, strict=True):
        pixels = torch.from_numpy(image[top:bottom, left:right]).permute(2, 0, 1)[None].float()
        expected = torch.nn.functional.interpolate(pixels, size=size, mode="area")
        np.testing.assert_allclose(part, expected[0].permute(1, 2, 0).numpy(), atol=1e-3)
    np.testing.assert_array_equal(table.whole(size)[0], found[0])


def test_sums_past_32_bits_do_not_matter() -> None:
    # 255 in 17.6 million pixels is more than 32 bits hold.
    table = AreaTable(np.full((4_200, 4_200, 3), 255, dtype=np.uint8))
    np.testing.assert_allclose(table.whole((3, 2)), 255)
    corner = np.array([[4_190, 4_190, 4_200, 4_200]])
    np.testing.assert_allclose(table.means(corner, (4, 4)), 255)
