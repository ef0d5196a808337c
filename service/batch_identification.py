"""Identifying the faces of many photos: full batches for the model, one search, one threshold."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from contract.detection.base import DetectedFace
from contract.errors import ImageError
from index.gallery import Gallery
from index.records import Embeddings
from service.decision import Threshold
from service.enrolment import Upload
from service.identification import IdentifiedFace, identified_face
from service.quality.measures import Quality, measure
from service.receipt import searched_gallery
from service.recognizer import Pixels, Recognizer, Timing

# Crops that wait until they are embedded together: a full batch for a GPU, a few MB.
CROPS_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchIdentified:
    """For each image its faces, largest first, or what is wrong with it; all of one revision."""

    results: tuple[tuple[IdentifiedFace, ...] | ImageError, ...]
    threshold: Threshold
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A face of the image at `index`. Its photo is let go: 64 of them would fill the memory."""

    index: int
    face: DetectedFace
    quality: Quality | None


@dataclass(slots=True)
class _Work:
    """What has been found so far; `crops` are of the last of `seen`, and wait to be embedded."""

    seen: list[_Seen] = field(default_factory=list)
    crops: list[Pixels] = field(default_factory=list)
    embeddings: list[Embeddings] = field(default_factory=list)
    problems: dict[int, ImageError] = field(default_factory=dict)


def identify_batch(
    recognizer: Recognizer,
    gallery: Gallery,
    uploads: Sequence[Upload],
    *,
    timing: Timing,
    find_threshold: Callable[[], Threshold],
    top_k: int,
    max_faces: int,
    min_quality: float,
) -> BatchIdentified:
    """As identification.identify of each image file, all against the gallery of one moment.

    An image that cannot be read is its own result and no one else's. Raises
    GalleryUnavailableError.
    """
    work = _Work()
    for index, upload in enumerate(uploads):
        try:
            _look_at(recognizer, index, upload.data, max_faces, work, timing)
        except ImageError as error:
            work.problems[index] = error
        if len(work.crops) >= CROPS_AT_ONCE:
            _embed(recognizer, work, timing)
    _embed(recognizer, work, timing)
    threshold = find_threshold()
    faces: list[list[IdentifiedFace]] = [[] for _ in uploads]
    revision = gallery.revision
    if work.seen:
        searched = searched_gallery(gallery)
        now = time.perf_counter()
        # The margin needs the runner-up, whatever the caller wants to see.
        result = gallery.search(np.stack(work.embeddings), top_k=max(2, top_k))
        timing.stage("search", now)
        revision = result.revision
        for seen, candidates in zip(work.seen, result.candidates, strict=True):
            faces[seen.index].append(
                identified_face(
                    seen.face,
                    seen.quality,
                    candidates,
                    threshold,
                    searched,
                    top_k=top_k,
                    min_quality=min_quality,
                )
            )
    return BatchIdentified(
        results=tuple(work.problems.get(i) or tuple(found) for i, found in enumerate(faces)),
        threshold=threshold,
        revision=revision,
    )


def _look_at(
    recognizer: Recognizer, index: int, data: bytes, max_faces: int, work: _Work, timing: Timing
) -> None:
    photo, found = recognizer.detect(data, timing)
    wanted = found[:max_faces] if max_faces else found
    crops = recognizer.crops(photo, wanted)
    for face, crop in zip(wanted, crops, strict=True):
        work.seen.append(_Seen(index=index, face=face, quality=measure(face, crop)))
        work.crops.append(crop)


def _embed(recognizer: Recognizer, work: _Work, timing: Timing) -> None:
    """Embed the crops that wait."""
    waiting = [seen.face for seen in work.seen[len(work.embeddings) :]]
    embedded = recognizer.embed_crops(waiting, work.crops, timing)
    work.embeddings.extend(e.embedding for e in embedded)
    work.crops.clear()
