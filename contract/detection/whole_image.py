"""No detection at all: for bundles that know whole images, not faces."""

import numpy as np

from contract.detection.base import DetectedFace, Pixels


class WholeImage:
    """Takes every image for the one face that is in it, so that the rest works as with faces."""

    name = "whole_image"

    def detect(self, image_HW3: Pixels) -> list[DetectedFace]:
        """One face: the whole image as its box, no landmarks, score 1."""
        height, width = image_HW3.shape[:2]
        box = (0.0, 0.0, float(width), float(height))
        return [DetectedFace(box, np.zeros((0, 2), dtype=np.float32), 1.0)]
