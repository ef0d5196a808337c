"""An uploaded photo: as few of its pixels as finding faces needs, and all where a face needs them.

Places of faces are always those of the whole upright photo.
"""

from dataclasses import replace
from functools import cached_property
from typing import Final

import numpy as np

from contract.alignment import TEMPLATE
from contract.detection.base import DetectedFace, Pixels
from contract.images import ImageLimits, decode_image, decode_reduced
from service.cropping import Cropper

# A face is cut from the reduced photo while its eyes there are so many times as far apart as in the
# crop, so that the crop is averaged down from more pixels than it has.
EYES_APART: Final = 1.5
# Of the side at which faces are looked for, that a reduced photo keeps: a quarter of a common
# 4,000 pixels is a little less than the 1,024 of the default.
KEPT_SHARE: Final = 7 / 8

_EYES_PX: Final = float(np.linalg.norm(TEMPLATE[1] - TEMPLATE[0]))


class Photo:
    """seen: what faces are looked for in. width, height: of the whole upright photo, pixels."""

    def __init__(self, data: bytes, limits: ImageLimits, *, searched_px: int | None) -> None:
        """searched_px: the longest side at which faces are looked for; None needs all pixels.

        Raises ImageError.
        """
        least = None if searched_px is None else round(searched_px * KEPT_SHARE)
        decoded = decode_reduced(data, limits, longest_px=least)
        self.seen, self.width, self.height = decoded.pixels, decoded.width, decoded.height
        self._data, self._limits = data, limits

    @property
    def is_reduced(self) -> bool:
        """Whether `seen` has fewer pixels than the photo."""
        return self.seen.shape[:2] != (self.height, self.width)

    @cached_property
    def pixels(self) -> Pixels:
        """All of them, uint8 (height, width, 3) RGB; decoded anew where they were not. Slow."""
        return decode_image(self._data, self._limits) if self.is_reduced else self.seen

    def in_whole(self, face: DetectedFace) -> DetectedFace:
        """A face of `seen`, in pixels of the whole photo."""
        return _moved(face, self._times)

    def crop(self, face: DetectedFace, cropper: Cropper) -> Pixels:
        """Cut a face, whose places are of the whole photo, from as few pixels as it needs."""
        if self.is_reduced:
            there = _moved(face, 1 / self._times)
            if len(there.landmarks) and _eye_px(there) >= EYES_APART * _EYES_PX:
                return cropper.crop(self.seen, there)
        return cropper.crop(self.pixels, face)

    @property
    def _times(self) -> np.ndarray:
        """Pixels of the photo for one of `seen`, across and down."""
        return np.array([self.width / self.seen.shape[1], self.height / self.seen.shape[0]])


def _eye_px(face: DetectedFace) -> float:
    return float(np.linalg.norm(face.landmarks[1] - face.landmarks[0]))


def _moved(face: DetectedFace, times: np.ndarray) -> DetectedFace:
    """Corners of a box lie between pixels; landmarks name the middle of one by whole numbers."""
    if (times == 1).all():
        return face
    left, top, right, bottom = (np.array(face.box).reshape(2, 2) * times).ravel().tolist()
    landmarks = (face.landmarks + 0.5) * times - 0.5
    return replace(
        face, box=(left, top, right, bottom), landmarks=landmarks.astype(face.landmarks.dtype)
    )
