"""MTCNN's three stages (Zhang et al., 2016) over the networks that facenet-pytorch ships.

What facenet-pytorch's own loop finds, faster (docs/detection.md): each stage takes its parts of the
photo in one batch from a summed-area table, and networks work channels last.

Boxes are float32 (F, 4) left, top, right, bottom, in pixels counted from 1 as in the original.
Shapes: F faces or proposals.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import nms

from contract.detection.area_table import AreaTable

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

# The first network looks at squares of this side, a step apart, on images that shrink by a factor.
CELL_PX: Final = 12
STEP_PX: Final = 2
FACTOR: Final = 0.709
LEAST_SCORES: Final = (0.6, 0.7, 0.7)
# Overlaps from which two proposals are one: within a size, then after each stage.
SAME_SIZE_OVERLAP: Final = 0.5
OVERLAP: Final = 0.7
SECOND_PX, THIRD_PX = 24, 48
# Of parts that a network takes at a time, which bounds the memory.
BATCH: Final = 512


class MtcnnStages:
    """networks: of facenet_pytorch.MTCNN, whose weights are laid out anew. Safe in threads."""

    def __init__(self, networks: Any, device: str) -> None:
        self._first, self._second, self._third = (
            network.to(memory_format=torch.channels_last).eval()
            for network in (networks.pnet, networks.rnet, networks.onet)
        )
        self._device = device

    @torch.inference_mode()
    def find(self, image_HW3: Pixels, min_face_px: float) -> tuple[Floats, Floats, Floats]:
        """Boxes (F, 4), scores (F,), landmarks (F, 5, 2) of an RGB image."""
        table = AreaTable(image_HW3)
        boxes = self._proposed(table, min_face_px)
        boxes, (moves, chances) = self._looked_at(self._second, table, boxes, SECOND_PX)
        score, kept = _sure(chances, LEAST_SCORES[1])
        boxes, score, moves = boxes[kept], score[kept], moves[kept]
        kept = _apart(boxes, score, OVERLAP)
        boxes = _squared(_moved(boxes[kept], moves[kept]))
        boxes, (moves, points, chances) = self._looked_at(self._third, table, boxes, THIRD_PX)
        score, kept = _sure(chances, LEAST_SCORES[2])
        boxes, score, moves, points = boxes[kept], score[kept], moves[kept], points[kept]
        size = (boxes[:, 2:] - boxes[:, :2] + 1)[:, None]
        landmarks = points.reshape(-1, 2, 5).transpose(0, 2, 1) * size + boxes[:, None, :2] - 1
        boxes = _moved(boxes, moves)
        kept = _not_inside(boxes, score, OVERLAP)
        return boxes[kept], score[kept], landmarks[kept]

    def _proposed(self, table: AreaTable, min_face_px: float) -> Floats:
        """Squares that the first stage thinks of."""
        found = [self._of_scale(table, scale) for scale in _scales(table, min_face_px)]
        if not found:
            return np.zeros((0, 4), dtype=np.float32)
        boxes, moves, score = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        kept = _apart(boxes, score, OVERLAP)
        boxes, moves = boxes[kept], moves[kept]
        return _squared(boxes + moves * np.tile(boxes[:, 2:] - boxes[:, :2], 2))

    def _of_scale(self, table: AreaTable, scale: float) -> tuple[Floats, Floats, Floats]:
        size = (int(table.height * scale + 1), int(table.width * scale + 1))
        moves, chances = self._run(self._first, table.whole(size))
        sure = chances[0, 1] >= LEAST_SCORES[0]
        y, x = np.nonzero(sure)
        corner = np.stack([x, y], axis=1).astype(np.float32) * STEP_PX
        factor = np.float32(scale)
        low, high = np.floor((corner + 1) / factor), np.floor((corner + CELL_PX) / factor)
        boxes, score = np.concatenate([low, high], axis=1), chances[0, 1][sure]
        kept = _apart(boxes, score, SAME_SIZE_OVERLAP)
        return boxes[kept], moves[0][:, sure].T[kept], score[kept]

    def _looked_at(
        self, network: Any, table: AreaTable, boxes: Floats, side_px: int
    ) -> tuple[Floats, list[Floats]]:
        """Boxes that show something of the photo, and what a network says of each."""
        whole = np.trunc(boxes).astype(np.int64)
        edges = np.maximum(whole, 1) - np.array([1, 1, 0, 0])
        edges[:, 2:] = np.minimum(whole[:, 2:], [table.width, table.height])
        seen = (edges[:, :2] < edges[:, 2:]).all(axis=1)
        if not seen.any():
            # The networks take no empty batch: one of nothing says how many numbers they give.
            nothing = np.zeros((1, side_px, side_px, 3), dtype=np.float32)
            return boxes[:0], [values[:0] for values in self._run(network, nothing)]
        return boxes[seen], self._run(network, table.means(edges[seen], (side_px, side_px)))

    def _run(self, network: Any, parts: Floats) -> list[Floats]:
        """What a network gives for float32 (F, h, w, 3), 0 to 255, F at least 1."""
        pixels = torch.from_numpy(parts).permute(0, 3, 1, 2)
        batches = [
            network(batch.to(self._device).sub(127.5).mul_(0.0078125))
            for batch in pixels.split(BATCH)
        ]
        return [torch.cat(values).cpu().numpy() for values in zip(*batches, strict=True)]


def _scales(table: AreaTable, min_face_px: float) -> Iterator[float]:
    scale = CELL_PX / min_face_px
    while min(table.height, table.width) * scale >= CELL_PX:
        yield scale
        scale *= FACTOR


def _sure(chances: Floats, least: float) -> tuple[Floats, Rows]:
    """Scores, and which rows have more than `least`."""
    score = chances[:, 1]
    return score, np.flatnonzero(score > least)


def _apart(boxes: Floats, score: Floats, overlap: float) -> Rows:
    """Rows that are left where the best of those that overlap stays, best first."""
    kept: Rows = nms(torch.from_numpy(boxes), torch.from_numpy(score), overlap).numpy()
    return kept


def _not_inside(boxes: Floats, score: Floats, overlap: float) -> Rows:
    """As `_apart`, by the share of the smaller box that lies in the better one."""
    area = np.prod(boxes[:, 2:] - boxes[:, :2] + 1, axis=1)
    left, kept = np.argsort(score, kind="stable")[::-1], []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[left, :2])
        high = np.minimum(boxes[best, 2:], boxes[left, 2:])
        common = np.prod(np.maximum(high - low + 1, 0), axis=1)
        left = left[common <= overlap * np.minimum(area[best], area[left])]
    return np.array(kept, dtype=np.int64)


def _moved(boxes: Floats, moves: Floats) -> Floats:
    return boxes + moves * np.tile(boxes[:, 2:] - boxes[:, :2] + 1, 2)


def _squared(boxes: Floats) -> Floats:
    """Squares of the longer side, about the same middle."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.max(axis=1, keepdims=True)
    low = boxes[:, :2] + size * 0.5 - side * 0.5
    return np.concatenate([low, low + side], axis=1)
