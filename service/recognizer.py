"""One photo to its faces, each with its embedding: decode, detect, crop, embed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from contract.detection.base import DetectedFace, FaceDetector
from contract.images import ImageLimits
from contract.manifest import InputSpec
from service.cropping import Cropper, cropper_for
from service.crops import encode_crop
from service.embedder import Embedder
from service.photo import Photo

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class EmbeddedFace:
    """A face, the crop that the model took, uint8 (H, W, 3), and its embedding, float32 (D,)."""

    face: DetectedFace
    crop: Pixels
    embedding: npt.NDArray[np.float32]


class Pass(NamedTuple):
    """Work on a stage, from when to when (perf_counter seconds)."""

    stage: str
    since_s: float
    until_s: float


@dataclass(slots=True)
class Timing:
    """Milliseconds that each stage of a request took, and each pass through one."""

    stages_ms: dict[str, float] = field(default_factory=dict)
    passes: list[Pass] = field(default_factory=list)

    def stage(self, name: str, since: float) -> float:
        """Add the time since `since` (perf_counter seconds) to a stage; returns the time now."""
        now = time.perf_counter()
        self._add(Pass(name, since, now))
        return now

    @contextmanager
    def during(self, name: str) -> Iterator[None]:
        """Add the time that what is done meanwhile takes to a stage, where it fails, too."""
        since = time.perf_counter()
        try:
            yield
        finally:
            self.stage(name, since)

    @contextmanager
    def of_one_photo(self) -> Iterator["Timing"]:
        """A timing of its own for one of several photos; what it has is added here in the end."""
        own = Timing()
        try:
            yield own
        finally:
            for each in own.passes:
                self._add(each)

    def rounded_ms(self) -> dict[str, float]:
        """As answers show it."""
        return {name: round(ms, 2) for name, ms in self.stages_ms.items()}

    def _add(self, new: Pass) -> None:
        took_ms = (new.until_s - new.since_s) * 1000
        self.stages_ms[new.stage] = self.stages_ms.get(new.stage, 0.0) + took_ms
        self.passes.append(new)


class Recognizer:
    """Detector, cropper and embedder of one bundle."""

    def __init__(
        self,
        detector: FaceDetector,
        pixels: InputSpec,
        embedder: Embedder,
        limits: ImageLimits,
        *,
        searched_px: int | None = None,
    ) -> None:
        """pixels: what the bundle takes. searched_px: longest side that the detector looks at.

        Raises BundleError where the manifest does not say how whole images become `pixels`.
        """
        self.detector, self.limits = detector, limits
        self._searched_px = searched_px
        self._pixels = pixels
        self._cropper: Cropper = cropper_for(pixels)
        self._embedder = embedder

    def detect(self, data: bytes, timing: Timing) -> tuple[Photo, list[DetectedFace]]:
        """The photo of an image file and its faces, largest first. Raises ImageError."""
        with timing.during("decode"):
            photo = Photo(data, self.limits, searched_px=self._searched_px)
        with timing.during("detect"):
            faces = [photo.in_whole(face) for face in self.detector.detect(photo.seen)]
        return photo, faces

    def embed(self, photo: Photo, faces: list[DetectedFace], timing: Timing) -> list[EmbeddedFace]:
        """The given faces of one photo with their embeddings, computed in one batch."""
        if not faces:
            return []
        now = time.perf_counter()
        crops = self.crops(photo, faces)
        timing.stage("embed", now)
        return self.embed_crops(faces, crops, timing)

    def crops(self, photo: Photo, faces: list[DetectedFace]) -> list[Pixels]:
        """What the model takes of each face of a photo, uint8 (H, W, 3)."""
        return [photo.crop(face, self._cropper) for face in faces]

    def embed_crops(
        self, faces: list[DetectedFace], crops: list[Pixels], timing: Timing
    ) -> list[EmbeddedFace]:
        """Faces of one photo or of several by their crops, computed in one batch."""
        if not faces:
            return []
        now = time.perf_counter()
        embeddings = self._embedder.embed(np.stack(crops))
        timing.stage("embed", now)
        return [EmbeddedFace(f, c, e) for f, c, e in zip(faces, crops, embeddings, strict=True)]

    def stored_crop(self, embedded: EmbeddedFace) -> bytes:
        """The crop of an embedded face as the gallery keeps it."""
        return encode_crop(embedded.crop, self._pixels)
