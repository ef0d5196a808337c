"""Where a head points, from its five landmarks: a generic face fitted under weak perspective.

Angles are degrees. Yaw is positive when the face looks to the right of the photo, pitch when it
looks up, roll when the head leans clockwise as seen. Yaw and pitch are those of the face made
upright, as its crop is.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.alignment import TEMPLATE

Points = npt.NDArray[np.floating]
Float = npt.NDArray[np.float64]

# How far in front of the eyes the nose and the corners of the mouth are, in pixels of the template
# (63 mm between the eyes, 26 mm to the tip of a nose).
NOSE_PX: Final = 14.5
# MTCNN marks a nose lower than the template has it: by so much in the median of LFW's faces.
NOSE_DOWN_PX: Final = 2.0
MOUTH_PX: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Degrees, see above."""

    yaw: float
    pitch: float
    roll: float


def generic_face() -> Float:
    """Landmarks in space, (5, 3): x to the right, y down, z away from the camera; mean 0."""
    depth = np.array([0.0, 0.0, -NOSE_PX, -MOUTH_PX, -MOUTH_PX])
    # As one face and its mirror image give: nobody's template is askew.
    mirrored = TEMPLATE[[1, 0, 2, 4, 3]] * [-1, 1] + [2 * TEMPLATE[2, 0], 0]
    face = np.column_stack([(TEMPLATE + mirrored) / 2, depth])
    face[2, 1] += NOSE_DOWN_PX
    centred: Float = face - face.mean(axis=0)
    return centred


_FACE: Final = generic_face()
_FIT: Final = np.linalg.pinv(_FACE)


def pose(landmarks_52: Points) -> Pose:
    """Pose of a face; all 0 for landmarks that lie on one point.

    Least squares for the affine camera, whose rows the nearest rotation replaces.
    """
    points = np.asarray(landmarks_52, dtype=np.float64)
    camera_23 = (_FIT @ (points - points.mean(axis=0))).T
    if not camera_23.any():
        return Pose(yaw=0.0, pitch=0.0, roll=0.0)
    u, _, v = np.linalg.svd(camera_23, full_matrices=False)
    (a, b, c), (d, e, f) = (u @ v).tolist()
    # The rotation is roll · yaw · pitch; its first column is where the face's right side went, and
    # its third row is the product of the two that are known.
    return Pose(
        yaw=math.degrees(math.atan2(b * f - c * e, math.hypot(a, d))),
        pitch=math.degrees(math.atan2(a * f - c * d, a * e - b * d)),
        roll=math.degrees(math.atan2(d, a)),
    )
