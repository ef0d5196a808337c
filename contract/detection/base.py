"""The seam to face detectors: evaluation and serving use the same one."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class DetectedFace:
    """One face in pixels of the upright image, origin top left.

    box: left, top, right, bottom, clipped to the image.
    landmarks: (5, 2) float32 x, y of left eye, right eye, nose, left and right corner of the
        mouth, left and right as seen in the image; (0, 2) of what is no face.
    score: in [0, 1], how sure the detector is that this is a face.
    """

    box: tuple[float, float, float, float]
    landmarks: npt.NDArray[np.float32]
    score: float

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


class FaceDetector(Protocol):
    """Finds all faces of an upright RGB image."""

    @property
    def name(self) -> str:
        """Name of the detector, for answers and measurements."""
        ...

    def detect(self, image_HW3: Pixels) -> list[DetectedFace]:
        """All faces, largest first; an empty list where there is none. Safe to call in threads."""
        ...
