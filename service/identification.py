"""Identifying: every face of a photo against the gallery."""

import time
from dataclasses import dataclass

import numpy as np

from contract.detection.base import DetectedFace
from index.gallery import Gallery
from index.records import Candidate
from service.decision import Decision, Threshold, decide
from service.recognizer import Recognizer, Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifiedFace:
    """A face, what was decided of it, and up to top_k candidates, best first."""

    face: DetectedFace
    decision: Decision
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """All faces of a photo, largest first; the revision of the gallery that was searched."""

    faces: tuple[IdentifiedFace, ...]
    revision: int
    timing: Timing


def identify(
    recognizer: Recognizer,
    gallery: Gallery,
    data: bytes,
    *,
    threshold: Threshold,
    top_k: int,
    max_faces: int,
) -> Identified:
    """Decide over the `max_faces` largest faces of an image file, 0 for all. Raises ImageError."""
    timing = Timing()
    pixels, faces = recognizer.detect(data, timing)
    embedded = recognizer.embed(pixels, faces[:max_faces] if max_faces else faces, timing)
    if not embedded:
        return Identified(faces=(), revision=gallery.revision, timing=timing)
    now = time.perf_counter()
    # The margin needs the runner-up, whatever the caller wants to see.
    result = gallery.search(np.stack([e.embedding for e in embedded]), top_k=max(2, top_k))
    timing.stage("search", now)
    found = tuple(
        IdentifiedFace(
            face=e.face, decision=decide(candidates, threshold), candidates=candidates[:top_k]
        )
        for e, candidates in zip(embedded, result.candidates, strict=True)
    )
    return Identified(faces=found, revision=result.revision, timing=timing)
