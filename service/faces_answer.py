"""The JSON of faces that were looked for, and of their embeddings."""

from typing import Annotated

from pydantic import Field

from contract.detection.base import DetectedFace
from contract.similarity import Space
from service.quality.measures import Quality
from service.schemas import BundleRef, FaceLocation, Model, QualityOut

Px = Annotated[int, Field(ge=1)]


class ImageSize(Model):
    """Pixels of the upright image."""

    width: Px
    height: Px


class SeenFaceOut(FaceLocation):
    """One face of the photo."""

    quality: QualityOut | None = Field(description="null where whole images are taken, not faces")

    @classmethod
    def of(cls, face: DetectedFace, quality: Quality | None) -> "SeenFaceOut":
        """From what was seen."""
        return cls(quality=QualityOut.of(quality), **cls.fields_of(face))


class DetectAnswer(Model):
    """All faces of the photo, largest first."""

    image: ImageSize
    faces: list[SeenFaceOut]
    timing_ms: dict[str, float]
    request_id: str


class EmbeddedFaceOut(SeenFaceOut):
    """One face of the photo with its embedding."""

    embedding: list[float] = Field(description="float32 numbers, as many as contract.size says")


class ContractOut(Model):
    """What the embeddings are: those of equal ids may be compared, and no others.

    similarity = 1 - distance / d_max, with the Euclidean distance, and 0 beyond d_max.
    """

    id: str
    size: Annotated[int, Field(ge=1, description="numbers of an embedding")]
    space: Space
    d_max: Annotated[float, Field(gt=0, description="largest distance of the space")]


class EmbedAnswer(Model):
    """All faces of the photo, largest first, and what their embeddings are."""

    image: ImageSize
    faces: list[EmbeddedFaceOut]
    contract: ContractOut
    bundle: BundleRef
    timing_ms: dict[str, float]
    request_id: str
