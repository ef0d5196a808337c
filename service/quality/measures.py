"""The measures of one detected face. Cheap: of the crop that the model takes, and the landmarks."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.detection.base import DetectedFace
from service.quality.covering import covering
from service.quality.pose import pose
from service.quality.sharpness import sharpness

Pixels = npt.NDArray[np.uint8]

# ITU-R BT.601, as a JPEG's luma.
LUMA: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)
# Rows and columns of the 112 x 112 crop that show skin, eyes and mouth of every face, no hair.
FACE_ROWS: Final = slice(28, 108)
FACE_COLUMNS: Final = slice(20, 92)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """sharpness: see sharpness.py. brightness: mean luma of the face. covered: see covering.py.

    All three are in [0, 1].
    face_px: the shorter side of the box, eye_px: between the eyes, in pixels of the photo.
    yaw, pitch, roll: degrees, see pose.py. det_score: the detector's, in [0, 1].
    """

    sharpness: float
    brightness: float
    covered: float
    face_px: float
    eye_px: float
    yaw: float
    pitch: float
    roll: float
    det_score: float

    @property
    def score(self) -> float:
        """All in one number in [0, 1]: as good as the worst of them, 1 where none costs anything.

        Each is 0 where next to nobody is recognised and 1 from where more of it helps no longer.
        """
        parts = (
            _rises(self.sharpness, SHARPNESS),
            _rises(self.brightness, BRIGHTNESS),
            _rises(-self.covered, COVERED),
            _rises(self.face_px, FACE_PX),
            _rises(-abs(self.yaw), YAW),
            _rises(-abs(self.pitch), PITCH),
            _rises(self.det_score, DET_SCORE),
        )
        return min(parts)


# Worst and best of each part of the score.
SHARPNESS: Final = (0.1, 0.5)
BRIGHTNESS: Final = (0.02, 0.3)
COVERED: Final = (-0.6, -0.2)
FACE_PX: Final = (10.0, 80.0)
YAW: Final = (-70.0, -10.0)
PITCH: Final = (-70.0, -20.0)
DET_SCORE: Final = (0.5, 0.99)


def _rises(value: float, between: tuple[float, float]) -> float:
    worst, best = between
    return min(1.0, max(0.0, (value - worst) / (best - worst)))


def measure(face: DetectedFace, crop_HW3: Pixels) -> Quality | None:
    """Of a face and its aligned 112 x 112 crop; None for what has no landmarks: no face."""
    if not len(face.landmarks):
        return None
    luma = crop_HW3[FACE_ROWS, FACE_COLUMNS].astype(np.float32) @ LUMA
    left, top, right, bottom = face.box
    direction = pose(face.landmarks)
    return Quality(
        sharpness=sharpness(luma),
        brightness=float(luma.mean()) / 255,
        covered=covering(crop_HW3),
        face_px=min(right - left, bottom - top),
        eye_px=float(np.linalg.norm(face.landmarks[1] - face.landmarks[0])),
        yaw=direction.yaw,
        pitch=direction.pitch,
        roll=direction.roll,
        det_score=face.score,
    )
