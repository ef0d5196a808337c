"""From the pixels of a source to an image of the pack: aligned, squared or as it is.

A crop is a small frozen record, so that it can be sent to worker processes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from contract.alignment import CROP_SIDE_PX, align_face
from contract.detection.base import DetectedFace, FaceDetector
from contract.fitting import Fit, fit_image
from training.data.pack import Alignment
from training.data.sources.base import Pixels, Points, UnusableError

Cut = Callable[[Pixels, Points | None], Pixels]


class Crop(Protocol):
    """What is done to every image of a source."""

    @property
    def alignment(self) -> Alignment: ...

    @property
    def fit(self) -> Fit | None: ...

    @property
    def height_px(self) -> int: ...

    @property
    def width_px(self) -> int: ...

    @property
    def detector(self) -> str | None:
        """Name of the detector that finds faces; None where none does."""
        ...

    def open(self) -> Cut:
        """The function (image, landmarks or None) -> uint8 (height_px, width_px, 3).

        Called once in each process. The function raises UnusableError.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """Images of one size, taken as they are. wanted: what has that size, for those that do not."""

    width_px: int
    height_px: int
    wanted: str
    alignment: Alignment = "none"
    detector: None = None

    @property
    def fit(self) -> None:
        return None

    def open(self) -> Cut:
        return self._cut

    def _cut(self, image: Pixels, _: Points | None) -> Pixels:
        height, width = image.shape[:2]
        if (width, height) != (self.width_px, self.height_px):
            raise UnusableError(
                f"has {width} x {height} pixels, {self.wanted} {self.width_px} x {self.height_px}"
            )
        return image


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """Images of any size brought to one by contract/fitting.py, as serving does."""

    side_px: int
    fit: Fit
    detector: None = None

    @property
    def alignment(self) -> Alignment:
        return "none"

    @property
    def height_px(self) -> int:
        return self.side_px

    @property
    def width_px(self) -> int:
        return self.side_px

    def open(self) -> Cut:
        return self._cut

    def _cut(self, image: Pixels, _: Points | None) -> Pixels:
        return fit_image(image, self.side_px, self.fit)


@dataclass(frozen=True, slots=True)
class _Aligned:
    """Faces at the five-point template."""

    @property
    def alignment(self) -> Alignment:
        return "five_point_112"

    @property
    def fit(self) -> None:
        return None

    @property
    def height_px(self) -> int:
        return CROP_SIDE_PX

    @property
    def width_px(self) -> int:
        return CROP_SIDE_PX


@dataclass(frozen=True, slots=True)
class LandmarkFace(_Aligned):
    """The face that the source's own landmarks mark."""

    @property
    def detector(self) -> None:
        return None

    def open(self) -> Cut:
        return self._cut

    def _cut(self, image: Pixels, landmarks: Points | None) -> Pixels:
        if landmarks is None:
            raise UnusableError("has no landmarks")
        middle, size = landmarks.mean(axis=0), np.array([image.shape[1], image.shape[0]])
        if not ((middle >= 0) & (middle < size)).all():
            raise UnusableError("its landmarks lie outside the photo")
        return _align(image, landmarks)


@dataclass(frozen=True, slots=True)
class DetectedFaces(_Aligned):
    """The most central face of each photo. make: of the detector, once in each process.

    detector: its name. border_px: of black about each photo, so that a face that fills it is found.
    """

    make: Callable[[], FaceDetector]
    detector: str
    border_px: int = 0

    def open(self) -> Cut:
        found_by = self.make()

        def cut(image: Pixels, _: Points | None) -> Pixels:
            width = self.border_px
            photo = np.pad(image, ((width, width), (width, width), (0, 0))) if width else image
            faces = found_by.detect(photo)
            if not faces:
                raise UnusableError("no face was found")
            return _align(photo, central_face(photo, faces).landmarks)

        return cut


def _align(image: Pixels, landmarks: npt.NDArray[np.float32]) -> Pixels:
    try:
        return align_face(image, landmarks)
    except ValueError as error:  # the points coincide, or are none
        raise UnusableError(str(error)) from error


def central_face(image: Pixels, faces: list[DetectedFace]) -> DetectedFace:
    """The face whose box lies nearest the middle of the photo, where a portrait has its subject."""
    middle = np.array([image.shape[1], image.shape[0]]) / 2

    def distance(face: DetectedFace) -> float:
        left, top, right, bottom = face.box
        return float(np.hypot(*((left + right) / 2 - middle[0], (top + bottom) / 2 - middle[1])))

    return min(faces, key=distance)


def served_detector() -> FaceDetector:
    """That of a service with its own defaults; what it needs is imported only where it is used."""
    from contract.detection.choosing import make_detector

    return make_detector()
