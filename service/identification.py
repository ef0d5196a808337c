"""Identifying: every face of a photo against the gallery."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from contract.detection.base import DetectedFace
from index.gallery import Gallery
from index.records import Candidate
from service.decision import Decision, Threshold, decide
from service.quality.measures import Quality, measure
from service.receipt import SearchedGallery, receipt_for, searched_gallery
from service.recognizer import Recognizer, Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifiedFace:
    """A face, what was decided of it, and up to top_k candidates, best first.

    quality: None of a whole image, which is no face. receipt: see service/receipt.py; None where
    there is no candidate.
    """

    face: DetectedFace
    quality: Quality | None
    decision: Decision
    candidates: tuple[Candidate, ...]
    receipt: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """All faces of a photo, largest first; the revision of the gallery that was searched."""

    faces: tuple[IdentifiedFace, ...]
    threshold: Threshold
    revision: int


def identify(
    recognizer: Recognizer,
    gallery: Gallery,
    data: bytes,
    *,
    timing: Timing,
    find_threshold: Callable[[], Threshold],
    top_k: int,
    max_faces: int,
    min_quality: float,
) -> Identified:
    """Decide over the `max_faces` largest faces of an image file, 0 for all.

    find_threshold: looks it up, in the gallery too. min_quality: faces of a lower quality score
    are searched for and not decided over. Raises ImageError or GalleryUnavailableError.
    """
    photo, faces = recognizer.detect(data, timing)
    embedded = recognizer.embed(photo, faces[:max_faces] if max_faces else faces, timing)
    threshold = find_threshold()
    if not embedded:
        return Identified(faces=(), threshold=threshold, revision=gallery.revision)
    searched = searched_gallery(gallery)
    now = time.perf_counter()
    # The margin needs the runner-up, whatever the caller wants to see.
    result = gallery.search(np.stack([e.embedding for e in embedded]), top_k=max(2, top_k))
    timing.stage("search", now)
    found = tuple(
        identified_face(
            e.face,
            measure(e.face, e.crop),
            candidates,
            threshold,
            searched,
            top_k=top_k,
            min_quality=min_quality,
        )
        for e, candidates in zip(embedded, result.candidates, strict=True)
    )
    return Identified(faces=found, threshold=threshold, revision=result.revision)


def identified_face(
    face: DetectedFace,
    quality: Quality | None,
    candidates: tuple[Candidate, ...],
    threshold: Threshold,
    searched: SearchedGallery,
    *,
    top_k: int,
    min_quality: float,
) -> IdentifiedFace:
    """Decide over one face that was searched for, by its candidates, best first."""
    poor = quality is not None and quality.score < min_quality
    decision = decide(candidates, threshold, poor=poor)
    return IdentifiedFace(
        face=face,
        quality=quality,
        decision=decision,
        candidates=candidates[:top_k],
        receipt=receipt_for(searched, candidates, decision.verdict),
    )
