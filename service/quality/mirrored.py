"""A second opinion on where a face looks: its mirror image, found anew.

The landmarks of a face that looks aside are a guess, and the errors of a detector's guesses are
others in the mirror: the mean of both is nearer to the truth (docs/quality.md).
"""

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from contract.detection.base import DetectedFace, FaceDetector
from service.quality.measures import Quality
from service.quality.pose import Pose, pose

Pixels = npt.NDArray[np.uint8]

# Longest side of what is searched: bounds the time.
SIDE_PX: Final = 320


def with_mirrored_pose(
    photo_HW3: Pixels, face: DetectedFace, quality: Quality, detector: FaceDetector
) -> Quality:
    """`quality` with the mean yaw and pitch of the face and its mirror image.

    As it is where the mirror image shows no face at the same place.
    """
    other = mirrored_pose(photo_HW3, face, detector)
    if other is None:
        return quality
    return replace(
        quality, yaw=(quality.yaw + other.yaw) / 2, pitch=(quality.pitch + other.pitch) / 2
    )


def mirrored_pose(photo_HW3: Pixels, face: DetectedFace, detector: FaceDetector) -> Pose | None:
    """Pose of the face as its mirror image shows it, turned back; None where it shows none."""
    left, top, right, bottom = face.box
    width, height = right - left, bottom - top
    # The face with as much around it, so that it is found as in the photo.
    corner = (max(0, int(left - width)), max(0, int(top - height)))
    end = (int(right + width), int(bottom + height))
    part = photo_HW3[corner[1] : end[1], corner[0] : end[0]]
    place = np.array([left + right, top + bottom]) / 2 - corner
    shrink = -(-max(part.shape) // SIDE_PX)
    mirror = np.asarray(Image.fromarray(part[:, ::-1]).reduce(shrink))
    expected = np.array([part.shape[1] - place[0], place[1]]) / shrink
    found = [
        other
        for other in detector.detect(mirror)
        if np.abs(other.landmarks.mean(axis=0) - expected).max() < max(width, height) / 2 / shrink
    ]
    if not found:
        return None
    seen = pose(found[0].landmarks)
    return Pose(yaw=-seen.yaw, pitch=seen.pitch, roll=-seen.roll)
