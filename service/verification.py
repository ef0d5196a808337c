"""Verifying: one face against one other, or against one subject."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from contract.errors import ImageError, NoUsableFaceError
from contract.similarity import pairwise_similarity
from index.gallery import Gallery
from index.one_to_one import Comparison, compare
from service.decision import PairReason, PairVerdict, Threshold
from service.options import FacePolicy
from service.quality.policy import QualityPolicy
from service.recognizer import Recognizer, Timing
from service.usable_face import UnusableFace, UsableFace, usable_face


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is asked of each photo, and of the pair.

    find_threshold: looks it up for a subject of so many templates, of which a photo is one.
    """

    face_policy: FacePolicy
    quality: QualityPolicy
    find_threshold: Callable[[int], Threshold]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was decided of one pair. reason: why it was not evaluated.

    similarity: None only of a subject without templates. other: the second face, or None.
    comparison: with a subject, or None.
    """

    verdict: PairVerdict
    reason: PairReason | None
    similarity: float | None
    threshold: Threshold
    face: UsableFace
    other: UsableFace | None = None
    comparison: Comparison | None = None


def verify_images(
    recognizer: Recognizer,
    image: bytes,
    other_image: bytes,
    terms: Terms,
    *,
    timing: Timing,
    d_max: float,
) -> Verified:
    """Do two image files show the same face?

    d_max: of the embeddings' space. Raises NoUsableFaceError or ImageError, both of which name the
    field, `image` or `other_image`.
    """
    images = {"image": image, "other_image": other_image}
    face, other = _faces(recognizer, images, terms, timing)
    rows = [f.embedded.embedding[None] for f in (face, other)]
    similarity = float(pairwise_similarity(rows[0], rows[1], d_max)[0, 0])
    threshold = terms.find_threshold(1)
    verdict, reason = _decide(similarity, threshold)
    return Verified(
        verdict=verdict,
        reason=reason,
        similarity=similarity,
        threshold=threshold,
        face=face,
        other=other,
    )


def verify_subject(
    recognizer: Recognizer,
    gallery: Gallery,
    image: bytes,
    subject_id: str,
    terms: Terms,
    *,
    timing: Timing,
) -> Verified:
    """Does an image file show that subject? Each of its templates is a chance to be taken for it.

    See verify_images. Raises SubjectNotFoundError, too, before it looks at the image.
    """
    gallery.subject(subject_id)
    (face,) = _faces(recognizer, {"image": image}, terms, timing)
    now = time.perf_counter()
    comparison = compare(gallery, subject_id, face.embedded.embedding)
    timing.stage("compare", now)
    threshold = terms.find_threshold(max(1, comparison.subject.template_count))
    similarity = comparison.candidate.similarity if comparison.candidate else None
    verdict, reason = _decide(similarity, threshold)
    return Verified(
        verdict=verdict,
        reason=reason,
        similarity=similarity,
        threshold=threshold,
        face=face,
        comparison=comparison,
    )


def _decide(
    similarity: float | None, threshold: Threshold
) -> tuple[PairVerdict, PairReason | None]:
    if similarity is None:
        return "not_evaluated", "no_templates"
    if threshold.value is None:
        unknown = threshold.reason == "no_threshold"
        return "not_evaluated", "no_threshold" if unknown else "target_fmr_unsupported"
    return "match" if threshold.accepts(similarity) else "no_match", None


def _faces(
    recognizer: Recognizer, images: dict[str, bytes], terms: Terms, timing: Timing
) -> list[UsableFace]:
    """The face of each image, by its field; both are looked at before one is refused."""
    found, refused = [], {}
    for field, data in images.items():
        try:
            found.append(usable_face(recognizer, data, terms.face_policy, terms.quality, timing))
        except ImageError as error:
            error.field = field
            raise
        except UnusableFace as error:
            refused[field] = error
    if refused:
        words = " ".join(f"{field}: {error}" for field, error in refused.items())
        raise NoUsableFaceError(words, [(field, e.reasons) for field, e in refused.items()])
    return found
