"""The one face of a photo that an enrolment takes, or every reason why it takes none."""

from collections.abc import Sequence
from dataclasses import dataclass

from contract.detection.base import DetectedFace
from service.options import FacePolicy
from service.photo import Photo
from service.quality.measures import Quality, measure
from service.quality.mirrored import with_mirrored_pose
from service.quality.policy import QualityPolicy, Shortcoming
from service.quality.unseen import why_unseen, why_unsure
from service.recognizer import EmbeddedFace, Recognizer, Timing


class UnusableFace(Exception):  # noqa: N818 - a step of the work, not an error of ours
    """The image shows no face that the policies take; its message has all reasons in words."""

    def __init__(self, shortcomings: Sequence[Shortcoming]) -> None:
        super().__init__(" ".join(s.detail for s in shortcomings))
        self.reasons = tuple(s.reason for s in shortcomings)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsableFace:
    """An embedded face that was taken. quality: None where whole images are taken, not faces."""

    embedded: EmbeddedFace
    quality: Quality | None


def usable_face(
    recognizer: Recognizer,
    data: bytes,
    face_policy: FacePolicy,
    policy: QualityPolicy,
    timing: Timing,
) -> UsableFace:
    """The face of one image file, embedded and measured. Raises ImageError, or UnusableFace."""
    photo, faces = recognizer.detect(data, timing)
    if not faces:
        with timing.during("measure"):
            raise UnusableFace(why_unseen(photo.pixels, recognizer.detector, policy))
    if len(faces) > 1 and face_policy == "single":
        several = (
            f"The photo shows {len(faces)} faces: crop it to one, or send face_policy=largest."
        )
        # Whoever crops it should know what is wrong with that face, too.
        with timing.during("measure"):
            (crop,) = recognizer.crops(photo, faces[:1])
            quality = measure(faces[0], crop)
            shortcomings = _judged(recognizer, photo, faces[0], quality, policy)[1]
        raise UnusableFace([Shortcoming(reason="multiple_faces", detail=several), *shortcomings])
    (embedded,) = recognizer.embed(photo, faces[:1], timing)
    with timing.during("measure"):
        measured = measure(embedded.face, embedded.crop)
        quality, shortcomings = _judged(recognizer, photo, embedded.face, measured, policy)
    if shortcomings:
        raise UnusableFace(shortcomings)
    return UsableFace(embedded=embedded, quality=quality)


def _judged(
    recognizer: Recognizer,
    photo: Photo,
    face: DetectedFace,
    quality: Quality | None,
    policy: QualityPolicy,
) -> tuple[Quality | None, tuple[Shortcoming, ...]]:
    """The quality, surer of where the face looks if that is in doubt, and what the policy says."""
    if quality is not None and policy.doubts(quality):
        quality = with_mirrored_pose(photo.pixels, face, quality, recognizer.detector)
    found = policy.shortcomings(quality)
    reasons = {shortcoming.reason for shortcoming in found}
    if "low_detection_score" in reasons and "extreme_pose" not in reasons:
        found += why_unsure(photo.pixels, recognizer.detector, policy)
    return quality, found
