"""Enrolling: each image of a request gives one face to the subject, or a reason why not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from contract.detection.base import DetectedFace
from contract.errors import ImageError, NoUsableFaceError
from index.gallery import Gallery
from index.records import Enrollment
from service.recognizer import EmbeddedFace, Recognizer, Timing
from service.request_error import RequestError

FacePolicy = Literal["single", "largest"]
StoreImage = Literal["none", "crop"]

# Side in pixels below which no detector of ours looks for a face.
SMALLEST_FACE_PX: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One image file of a request."""

    filename: str | None
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectWish:
    """What the request says of the subject; see index.gallery.Gallery.enroll.

    store_image: `crop` keeps the crop of each accepted face, for a later re-embedding.
    """

    subject_id: str | None
    name: str | None
    external_id: str | None
    metadata: dict[str, Any] | None
    expires_at: str | None = None
    consent_ref: str | None = None
    store_image: StoreImage = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why an image was not taken: machine-readable reasons, and words."""

    index: int
    filename: str | None
    reasons: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """accepted: (index in the request, its file, the face), in the order of the template ids."""

    enrollment: Enrollment
    accepted: tuple[tuple[int, Upload, DetectedFace], ...]
    rejected: tuple[Rejection, ...]


class UnusableFace(Exception):  # noqa: N818 - a step of the work, not an error of ours
    """The image shows no face that the policy takes."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def enroll(
    recognizer: Recognizer,
    gallery: Gallery,
    uploads: Sequence[Upload],
    wish: SubjectWish,
    face_policy: FacePolicy,
) -> Enrolled:
    """Store what can be used of `uploads`, all in one transaction.

    Raises NoUsableFaceError when nothing can (nothing is stored then), an ImageError when the
    only image cannot be read, RequestError when the subject cannot be called so, and the
    GalleryErrors of Gallery.enroll.
    """
    accepted: list[tuple[int, Upload, EmbeddedFace]] = []
    rejected: list[Rejection] = []
    for index, upload in enumerate(uploads):
        try:
            accepted.append((index, upload, one_face(recognizer, upload, face_policy)))
        except (ImageError, UnusableFace) as error:
            if isinstance(error, ImageError) and len(uploads) == 1:
                raise
            rejected.append(
                Rejection(
                    index=index,
                    filename=upload.filename,
                    reasons=(error.reason,),
                    detail=str(error),
                )
            )
    if not accepted:
        words = " ".join(
            f"Image {r.index}: {r.detail}" if len(uploads) > 1 else r.detail for r in rejected
        )
        raise NoUsableFaceError(words, [(r.index, r.reasons) for r in rejected])
    try:
        enrollment = gallery.enroll(
            np.stack([found.embedding for _, _, found in accepted]),
            subject_id=wish.subject_id,
            name=wish.name,
            external_id=wish.external_id,
            metadata=wish.metadata,
            expires_at=wish.expires_at,
            consent_ref=wish.consent_ref,
            crops=[recognizer.stored_crop(found) for _, _, found in accepted]
            if wish.store_image == "crop"
            else None,
        )
    except ValueError as error:
        raise RequestError("subject", str(error)) from error
    return Enrolled(
        enrollment=enrollment,
        accepted=tuple((index, upload, found.face) for index, upload, found in accepted),
        rejected=tuple(rejected),
    )


def one_face(recognizer: Recognizer, upload: Upload, face_policy: FacePolicy) -> EmbeddedFace:
    """The face of one image, embedded. Raises ImageError, or UnusableFace."""
    timing = Timing()
    pixels, faces = recognizer.detect(upload.data, timing)
    height, width = pixels.shape[:2]
    if not faces and min(height, width) < SMALLEST_FACE_PX:
        raise UnusableFace(
            "face_too_small",
            f"No face can be seen in {width} x {height} pixels: send a larger photo.",
        )
    if not faces:
        raise UnusableFace(
            "no_face",
            f"No face was found in the {width} x {height} pixels: send a photo in which the face "
            "is larger, sharper or turned to the camera.",
        )
    if len(faces) > 1 and face_policy == "single":
        raise UnusableFace(
            "multiple_faces",
            f"The photo shows {len(faces)} faces: crop it to one, or send face_policy=largest.",
        )
    return recognizer.embed(pixels, faces[:1], timing)[0]
