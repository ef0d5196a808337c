"""Enrolling: each image of a request gives one face to the subject, or the reasons why not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contract.errors import ImageError, NoUsableFaceError, PossibleDuplicateError
from index.gallery import Gallery
from index.own_subject import OwnSubject, find_own
from index.records import Embeddings, Enrollment
from service.decision import Threshold
from service.duplicates import Duplicates, possible_duplicates
from service.nearer_to_other import Stray, strays
from service.options import DuplicateCheck, FacePolicy, StoreImage
from service.quality.policy import QualityPolicy
from service.recognizer import Recognizer, Timing
from service.request_error import RequestError
from service.usable_face import UnusableFace, UsableFace, usable_face


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
class Terms:
    """What is asked of the photos.

    duplicate_check: of other subjects at or above the threshold that `find_threshold` looks up in
    the gallery too; without one nobody can be told.
    """

    face_policy: FacePolicy
    quality: QualityPolicy
    duplicate_check: DuplicateCheck
    find_threshold: Callable[[], Threshold]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An image that was taken. index: in the request."""

    index: int
    upload: Upload
    face: UsableFace


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why an image was not taken: machine-readable reasons, and words."""

    index: int
    filename: str | None
    reasons: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """accepted: in the order of the template ids. rejected: in the order of the request."""

    enrollment: Enrollment
    accepted: tuple[Accepted, ...]
    rejected: tuple[Rejection, ...]
    duplicates: Duplicates


def enroll(
    recognizer: Recognizer,
    gallery: Gallery,
    uploads: Sequence[Upload],
    wish: SubjectWish,
    terms: Terms,
    template_ids: Sequence[str] | None = None,
    *,
    timing: Timing,
    dry_run: bool = False,
) -> Enrolled:
    """Store what can be used of `uploads`, all in one transaction.

    What is asked of other subjects is asked before that transaction: of two enrolments at the same
    moment neither may see the other.
    template_ids: what each upload's template is to be called, see Gallery.enroll.
    dry_run: look at everything as if, and store nothing.
    Raises NoUsableFaceError when nothing can be used, PossibleDuplicateError where that was not
    wanted, an ImageError when the only image cannot be read, RequestError when the subject cannot
    be called so or duplicates cannot be told but were to be rejected, and the GalleryErrors of
    Gallery.enroll. Nothing is stored then.
    """
    accepted, rejected = _look_at(recognizer, uploads, terms, timing)
    own = find_own(gallery, subject_id=wish.subject_id, external_id=wish.external_id)
    if accepted and terms.quality.own_subject_nearest and accepted[0].face.quality is not None:
        with timing.during("search"):
            accepted, strayed = _without_strays(gallery, own, accepted)
        rejected = sorted([*rejected, *strayed], key=lambda rejection: rejection.index)
    if not accepted:
        raise _nothing_usable(rejected, several=len(uploads) > 1)
    embeddings = _embeddings(accepted)
    duplicates = _duplicates(gallery, own, embeddings, terms, timing)
    try:
        with timing.during("store"):
            enrollment = gallery.enroll(
                embeddings,
                subject_id=wish.subject_id,
                name=wish.name,
                external_id=wish.external_id,
                metadata=wish.metadata,
                expires_at=wish.expires_at,
                consent_ref=wish.consent_ref,
                crops=[recognizer.stored_crop(image.face.embedded) for image in accepted]
                if wish.store_image == "crop"
                else None,
                template_ids=None
                if template_ids is None
                else [template_ids[image.index] for image in accepted],
                dry_run=dry_run,
            )
    except ValueError as error:
        raise RequestError("subject", str(error)) from error
    return Enrolled(
        enrollment=enrollment,
        accepted=tuple(accepted),
        rejected=tuple(rejected),
        duplicates=duplicates,
    )


def _look_at(
    recognizer: Recognizer, uploads: Sequence[Upload], terms: Terms, timing: Timing
) -> tuple[list[Accepted], list[Rejection]]:
    accepted: list[Accepted] = []
    rejected: list[Rejection] = []
    for index, upload in enumerate(uploads):
        try:
            face = usable_face(recognizer, upload.data, terms.face_policy, terms.quality, timing)
            accepted.append(Accepted(index=index, upload=upload, face=face))
        except ImageError as error:
            if len(uploads) == 1:
                raise
            rejected.append(_rejection(index, upload, (error.reason,), str(error)))
        except UnusableFace as error:
            rejected.append(_rejection(index, upload, error.reasons, str(error)))
    return accepted, rejected


def _without_strays(
    gallery: Gallery, own: OwnSubject | None, accepted: Sequence[Accepted]
) -> tuple[list[Accepted], list[Rejection]]:
    found = {stray.place: stray for stray in strays(gallery, own, _embeddings(accepted))}
    kept = [image for place, image in enumerate(accepted) if place not in found]
    rejected = [
        _rejection(
            accepted[place].index,
            accepted[place].upload,
            ("nearer_to_other_subject",),
            _in_words(stray),
        )
        for place, stray in found.items()
    ]
    return kept, rejected


def _in_words(stray: Stray) -> str:
    return (
        f"The photo has a similarity of {stray.own_similarity:.3f} to its own subject and of "
        f"{stray.other.similarity:.3f} to {stray.other.subject.id!r}: send one of the right "
        "person, or quality=standard."
    )


def _duplicates(
    gallery: Gallery,
    own: OwnSubject | None,
    embeddings: Embeddings,
    terms: Terms,
    timing: Timing,
) -> Duplicates:
    if terms.duplicate_check == "off":
        return Duplicates()
    with timing.during("search"):
        duplicates = possible_duplicates(gallery, own, embeddings, terms.find_threshold)
    if terms.duplicate_check == "reject":
        if duplicates.unknown is not None:
            raise RequestError(
                "duplicate_check",
                f"Nobody can be told to be enrolled already: {duplicates.unknown} Or send "
                "duplicate_check=warn to enrol nevertheless.",
            )
        if duplicates.found:
            raise PossibleDuplicateError([(d.subject_id, d.similarity) for d in duplicates.found])
    return duplicates


def _embeddings(accepted: Sequence[Accepted]) -> Embeddings:
    return np.stack([image.face.embedded.embedding for image in accepted])


def _rejection(index: int, upload: Upload, reasons: tuple[str, ...], detail: str) -> Rejection:
    return Rejection(index=index, filename=upload.filename, reasons=reasons, detail=detail)


def _nothing_usable(rejected: Sequence[Rejection], *, several: bool) -> NoUsableFaceError:
    words = " ".join(f"Image {r.index}: {r.detail}" if several else r.detail for r in rejected)
    return NoUsableFaceError(words, [(r.index, r.reasons) for r in rejected])
