"""A detector without a network: what is bright on black is a face."""

import threading

import numpy as np
import numpy.typing as npt

from contract.alignment import CROP_SIDE_PX, TEMPLATE
from contract.detection.base import DetectedFace

Pixels = npt.NDArray[np.uint8]

BLACK_MAX = 40


class BlockDetector:
    """Takes each block of bright columns for a face. Waits inside while `gate` is not set."""

    name = "blocks"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def detect(self, image_HW3: Pixels) -> list[DetectedFace]:
        self.entered.set()
        assert self.gate.wait(timeout=30)
        lit = image_HW3.max(axis=2) > BLACK_MAX
        columns = lit.any(axis=0).astype(int)
        edges = np.flatnonzero(np.diff(columns, prepend=0, append=0))
        faces = []
        for left, right in zip(edges[::2], edges[1::2], strict=True):
            rows = np.flatnonzero(lit[:, left:right].any(axis=1))
            top, bottom = rows[0], rows[-1] + 1
            points = TEMPLATE / CROP_SIDE_PX * (right - left, bottom - top) + (left, top)
            box = (float(left), float(top), float(right), float(bottom))
            faces.append(DetectedFace(box, points.astype(np.float32), 0.99))
        return sorted(faces, key=lambda face: face.area, reverse=True)
