"""The faces of a photo by themselves: where they are, how good, and their embeddings."""

import time
from dataclasses import dataclass

from contract.detection.base import DetectedFace
from index.records import Embeddings
from service.quality.measures import Quality, measure
from service.recognizer import Recognizer, Timing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeenFace:
    """A face of a photo.

    quality: None of a whole image, which is no face. embedding: float32 (D,), None where none was
    asked for.
    """

    face: DetectedFace
    quality: Quality | None
    embedding: Embeddings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFaces:
    """The faces of an upright photo of width x height pixels, largest first."""

    width: int
    height: int
    faces: tuple[SeenFace, ...]


def seen_faces(
    recognizer: Recognizer, data: bytes, *, timing: Timing, max_faces: int, embedded: bool
) -> SeenFaces:
    """The `max_faces` largest faces of an image file, 0 for all. Raises ImageError."""
    photo, found = recognizer.detect(data, timing)
    wanted = found[:max_faces] if max_faces else found
    now = time.perf_counter()
    crops = recognizer.crops(photo, wanted)
    qualities = [measure(face, crop) for face, crop in zip(wanted, crops, strict=True)]
    timing.stage("measure", now)
    rows: list[Embeddings | None] = [None] * len(wanted)
    if embedded:
        rows = [e.embedding for e in recognizer.embed_crops(wanted, crops, timing)]
    faces = tuple(
        SeenFace(face=face, quality=quality, embedding=row)
        for face, quality, row in zip(wanted, qualities, rows, strict=True)
    )
    return SeenFaces(width=photo.width, height=photo.height, faces=faces)
