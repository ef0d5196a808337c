"""MTCNN (Zhang et al., 2016) as facenet-pytorch ships it, weights included in the wheel."""

import numpy as np
import numpy.typing as npt
import torch
from facenet_pytorch import MTCNN
from PIL import Image

from contract.detection.base import DetectedFace, Pixels


class MtcnnDetector:
    """facenet-pytorch's MTCNN with its default thresholds, on the CPU or a CUDA device.

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
        self._mtcnn = MTCNN(keep_all=True, min_face_size=min_face_px, device=device)

    def detect(self, image_HW3: Pixels) -> list[DetectedFace]:
        """All faces, largest first. Photos smaller than the smallest face have none."""
        height, width = image_HW3.shape[:2]
        shrink = max(1.0, max(height, width) / self._max_side_px)
        seen = image_HW3
        if shrink > 1:
            size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
            seen = np.asarray(
                Image.fromarray(image_HW3).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
            )
        if min(seen.shape[:2]) < self._min_face_px:
            return []
        boxes, scores, points = self._run(seen)
        to_photo = np.array([width / seen.shape[1], height / seen.shape[0]])
        faces = [
            _face(box, score, landmarks, to_photo, (width, height))
            for box, score, landmarks in zip(boxes, scores, points, strict=True)
        ]
        found = [face for face in faces if face.area > 0]
        return sorted(found, key=lambda face: face.area, reverse=True)

    @torch.inference_mode()
    def _run(
        self, image: Pixels
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Boxes (F, 4), scores (F,), landmarks (F, 5, 2) in pixels of `image`."""
        try:
            return self._call(image)
        except (IndexError, RuntimeError):
            # facenet-pytorch 2.5.3 loses count when a proposal lies wholly outside the photo.
            # Inside a black frame no proposal does.
            frame = max(image.shape[:2]) // 2
            framed = np.pad(image, ((frame, frame), (frame, frame), (0, 0)))
            boxes, scores, points = self._call(framed)
            return boxes - frame, scores, points - frame

    def _call(
        self, image: Pixels
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        boxes, scores, points = self._mtcnn.detect(image, landmarks=True)
        if boxes is None:
            empty = np.zeros((0,), dtype=np.float32)
            return empty.reshape(0, 4), empty, empty.reshape(0, 5, 2)
        return (
            np.asarray(boxes, dtype=np.float32),
            np.asarray(scores, dtype=np.float32),
            np.asarray(points, dtype=np.float32),
        )


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
