"""Why a photo shows no face, or none surely: another look finds it, to be measured as it is."""

import time
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.alignment import align_face
from contract.detection.base import DetectedFace, FaceDetector
from service.quality.looks import Look, looks, turned_looks
from service.quality.measures import Quality, measure
from service.quality.policy import QualityPolicy, Shortcoming

Pixels = npt.NDArray[np.uint8]

# The least score of a face that another look shows, and one that needs no further look.
SURE: Final = 0.8
CERTAIN: Final = 0.995
# Side in pixels below which no detector of ours looks for a face.
SMALLEST_FACE_PX: Final = 12


def why_unseen(
    photo_HW3: Pixels, detector: FaceDetector, policy: QualityPolicy
) -> tuple[Shortcoming, ...]:
    """Reasons, by the policy's limits, why `detector` found no face here; else `no_face`.

    photo_HW3: uint8 RGB in which it found none. No look begins that, taking as long as the one
    before, would end after the policy's `look_again_ms`.
    """
    height, width = photo_HW3.shape[:2]
    smallest_px = policy.limits.min_face_px if policy.limits else 0
    if min(height, width) < max(smallest_px, SMALLEST_FACE_PX):
        return (_too_small(width, height),)
    found = _best_look(photo_HW3, detector, policy.look_again_ms)
    if found is not None:
        look, face = found
        return _of_found(look, measure(face, align_face(photo_HW3, face.landmarks)), policy)
    return (
        Shortcoming(
            reason="no_face",
            detail=f"No face was found in the {width} x {height} pixels: send a photo in which the "
            "face is larger, sharper or turned to the camera.",
        ),
    )


def why_unsure(
    photo_HW3: Pixels, detector: FaceDetector, policy: QualityPolicy
) -> tuple[Shortcoming, ...]:
    """That the photo lies on a side or upside down, where a face shows there for certain.

    photo_HW3: uint8 RGB in which `detector` is unsure of a face, which may be none.
    """
    for look in turned_looks(photo_HW3) if policy.look_again_ms else ():
        face = _largest(detector, look)
        if face is not None and face.score >= CERTAIN:
            named = _of_found(look, measure(face, align_face(photo_HW3, face.landmarks)), policy)
            return tuple(found for found in named if found.reason == "extreme_pose")
    return ()


def _best_look(
    photo_HW3: Pixels, detector: FaceDetector, look_again_ms: int
) -> tuple[Look, DetectedFace] | None:
    """The look whose face has the highest score: a doubtful one shows in many a wrong look."""
    best: tuple[Look, DetectedFace] | None = None
    began = before = time.monotonic()
    for look in looks(photo_HW3) if look_again_ms else ():
        face = _largest(detector, look)
        if face is not None and (best is None or face.score > best[1].score):
            best = look, face
        if best is not None and best[1].score >= CERTAIN:
            break
        now = time.monotonic()
        if 1000 * (now - began + now - before) > look_again_ms:
            break
        before = now
    return best


def _largest(detector: FaceDetector, look: Look) -> DetectedFace | None:
    """The largest face of a look that is surely one, in pixels of the photo."""
    sure = [face for face in detector.detect(look.pixels) if face.score >= SURE]
    if not sure:
        return None
    corners = look.to_photo(np.array(sure[0].box).reshape(2, 2))
    left, top = corners.min(axis=0)
    right, bottom = corners.max(axis=0)
    return DetectedFace(
        (float(left), float(top), float(right), float(bottom)),
        look.to_photo(sure[0].landmarks).astype(np.float32),
        sure[0].score,
    )


def _of_found(
    look: Look, quality: Quality | None, policy: QualityPolicy
) -> tuple[Shortcoming, ...]:
    named = policy.shortcomings(quality)
    if named:
        return named
    return (
        Shortcoming(
            reason="low_detection_score",
            detail=f"A face shows only in the photo as {look.name}: send one in which the whole "
            "face is seen well, with nothing in front of it.",
        ),
    )


def _too_small(width: int, height: int) -> Shortcoming:
    return Shortcoming(
        reason="face_too_small",
        detail=f"No face can be seen well in {width} x {height} pixels: send a larger photo.",
    )
