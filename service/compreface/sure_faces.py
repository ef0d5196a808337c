"""Only faces that the detector is sure of: CompreFace's `det_prob_threshold`."""

import copy

from contract.detection.base import DetectedFace, FaceDetector, Pixels
from service.recognizer import Recognizer


class SureDetector:
    """Another detector's faces of a score of at least `least`."""

    def __init__(self, detector: FaceDetector, least: float) -> None:
        self._detector, self._least = detector, least

    @property
    def name(self) -> str:
        """See FaceDetector."""
        return self._detector.name

    def detect(self, image_HW3: Pixels) -> list[DetectedFace]:
        """See FaceDetector."""
        return [f for f in self._detector.detect(image_HW3) if f.score >= self._least]


def sure_of(recognizer: Recognizer, least: float | None) -> Recognizer:
    """The same recognizer for faces of such a score; None for all that its detector finds."""
    if least is None:
        return recognizer
    sure = copy.copy(recognizer)
    sure.detector = SureDetector(recognizer.detector, least)
    return sure
