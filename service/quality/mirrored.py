"""A second opinion on where a face looks: seen at another size, as it is and in the mirror.

The landmarks of a face that looks aside are a guess, and the errors of a detector's guesses are
others at another size and in the mirror: the mean is nearer to the truth (docs/quality.md).
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

# Longer side of the face in what is searched. Bounds the time, and landmarks are surest there.
FACE_PX: Final = 200


def with_mirrored_pose(
    photo_HW3: Pixels, face: DetectedFace, quality: Quality, detector: FaceDetector
) -> Quality:
    """`quality` with the mean yaw and pitch of the face and its mirror image, both looked at anew.

    The pose of `quality` takes the place of one that shows no face at the same place.
    """
    again = [pose_again(photo_HW3, face, detector, mirrored=mirrored) for mirrored in (False, True)]
    own = Pose(yaw=quality.yaw, pitch=quality.pitch, roll=quality.roll)
    one, other = (own if seen is None else seen for seen in again)
    return replace(quality, yaw=(one.yaw + other.yaw) / 2, pitch=(one.pitch + other.pitch) / 2)


def pose_again(
    photo_HW3: Pixels, face: DetectedFace, detector: FaceDetector, *, mirrored: bool
) -> Pose | None:
    """Pose of the face at FACE_PX, or of its mirror image turned back; None where none shows."""
    left, top, right, bottom = face.box
    width, height = right - left, bottom - top
    # The face with as much around it, so that it is found as in the photo.
    corner = (max(0, int(left - width)), max(0, int(top - height)))
    end = (int(right + width), int(bottom + height))
    part = photo_HW3[corner[1] : end[1], corner[0] : end[0]]
    place = np.array([left + right, top + bottom]) / 2 - corner
    times = FACE_PX / max(width, height)
    size = (max(1, round(part.shape[1] * times)), max(1, round(part.shape[0] * times)))
    if mirrored:
        part, place[0] = part[:, ::-1], part.shape[1] - place[0]
    picture = Image.fromarray(np.ascontiguousarray(part)).resize(size, reducing_gap=2.0)
    found = [
        other
        for other in detector.detect(np.asarray(picture))
        if np.abs(other.landmarks.mean(axis=0) - place * times).max() < FACE_PX / 2
    ]
    if not found:
        return None
    seen = pose(found[0].landmarks)
    return Pose(yaw=-seen.yaw, pitch=seen.pitch, roll=-seen.roll) if mirrored else seen
