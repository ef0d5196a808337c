"""MTCNN (Zhang et al., 2016) as facenet-pytorch ships it, weights included in the wheel."""

from typing import Final

import numpy as np
import numpy.typing as npt
from facenet_pytorch import MTCNN
from PIL import Image

from contract.detection.base import DetectedFace, Pixels
from contract.detection.mtcnn_stages import MtcnnStages

# A reduced photo is searched for no smaller faces: half the size would take four times as long.
SURE_FACE_PX: Final = 20


class MtcnnDetector:
    """facenet-pytorch's networks and default thresholds, on the CPU or a CUDA device.

    min_face_px: smallest face looked for, side in pixels of the upright photo.
    max_side_px: larger photos are searched at this longest side and boxes mapped back, since the
        time of the first stage grows with the number of pixels.
    """

    name = "mtcnn"

    def __init__(
        self, *, min_face_px: int = 20, max_side_px: int = 1024, device: str = "cpu"
    ) -> None:
        if min_face_px < 12 or max_side_px < min_face_px:
            raise ValueError(
                f"min_face_px must be at least 12 and max_side_px ({max_side_px}) no smaller than "
                f"min_face_px ({min_face_px})."
            )
        self._min_face_px = min_face_px
        self._max_side_px = max_side_px
        self._stages = MtcnnStages(MTCNN(device=device), device)

    def detect(self, image_HW3: Pixels) -> list[DetectedFace]:
        """All faces, largest first. Photos smaller than the smallest face have none."""
        height, width = image_HW3.shape[:2]
        if min(height, width) < self._min_face_px:
            return []
        shrink = max(1.0, max(height, width) / self._max_side_px)
        seen = image_HW3
        if shrink > 1:
            size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
            seen = np.asarray(
                Image.fromarray(image_HW3).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
            )
        least = max(min(self._min_face_px, SURE_FACE_PX), self._min_face_px / shrink)
        boxes, scores, points = self._stages.find(seen, least)
        to_photo = np.array([width / seen.shape[1], height / seen.shape[0]])
        faces = [
            _face(box, score, landmarks, to_photo, (width, height))
            for box, score, landmarks in zip(boxes, scores, points, strict=True)
        ]
        found = [face for face in faces if face.area > 0]
        return sorted(found, key=lambda face: face.area, reverse=True)


def _face(
    box: npt.NDArray[np.float32],
    score: np.float32,
    landmarks: npt.NDArray[np.float32],
    to_photo: npt.NDArray[np.float64],
    size: tuple[int, int],
) -> DetectedFace:
    corners = np.clip(box.reshape(2, 2) * to_photo, 0, size)
    left, top, right, bottom = (float(c) for c in corners.ravel())
    return DetectedFace(
        box=(left, top, right, bottom),
        landmarks=(landmarks * to_photo).astype(np.float32),
        score=float(np.clip(score, 0, 1)),
    )
