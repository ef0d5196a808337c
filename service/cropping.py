"""From a face in a photo to the crop that the bundle's model takes: by what its manifest says."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from contract.alignment import align_face
from contract.detection.base import DetectedFace
from contract.errors import BundleError
from contract.fitting import Fit, fit_image
from contract.manifest import InputSpec

Pixels = npt.NDArray[np.uint8]


class Cropper(Protocol):
    """Makes the model's input, uint8 (H, W, 3) RGB. Safe to call from threads."""

    def crop(self, image_HW3: Pixels, face: DetectedFace) -> Pixels:
        """The crop of one face of an upright photo."""
        ...


class AlignedFace:
    """The face at the five-point template."""

    def crop(self, image_HW3: Pixels, face: DetectedFace) -> Pixels:
        """uint8 (112, 112, 3)."""
        return align_face(image_HW3, face.landmarks)


@dataclass(frozen=True, slots=True)
class FittedImage:
    """The whole image, whatever was found in it."""

    side_px: int
    fit: Fit

    def crop(self, image_HW3: Pixels, face: DetectedFace) -> Pixels:
        """uint8 (side_px, side_px, 3)."""
        return fit_image(image_HW3, self.side_px, self.fit)


def cropper_for(pixels: InputSpec) -> Cropper:
    """What makes `pixels`. Raises BundleError where the manifest does not say how."""
    if pixels.alignment == "five_point_112":
        return AlignedFace()
    if pixels.fit is None:
        raise BundleError(
            "The bundle's manifest, which is of an older format version, does not say how whole "
            "images become what its model takes (input.fit): export it again."
        )
    return FittedImage(pixels.width, pixels.fit)
