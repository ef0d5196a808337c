"""The JSON of the API (snake_case), as pydantic models. Pixels are of the upright image."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.detection.base import DetectedFace
from contract.manifest import DefaultThreshold
from index.records import Candidate, Subject

Similarity = Annotated[float, Field(ge=0, le=1, description="1 - distance / d_max")]


class Model(BaseModel):
    """Answers hold exactly what is documented."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BoundingBox(Model):
    """Pixels, origin top left."""

    x: float
    y: float
    width: float
    height: float


class Point(Model):
    """Pixels, origin top left."""

    x: float
    y: float


class FaceLocation(Model):
    """Where a face is, and how sure the detector is of it."""

    bbox: BoundingBox
    landmarks: list[Point] = Field(
        description="left eye, right eye, nose, left and right corner of the mouth, as seen"
    )
    det_score: Annotated[float, Field(ge=0, le=1)]

    @classmethod
    def fields_of(cls, face: DetectedFace) -> dict[str, Any]:
        """What this model takes, from a detected face."""
        left, top, right, bottom = face.box
        return {
            "bbox": BoundingBox(x=left, y=top, width=right - left, height=bottom - top),
            "landmarks": [Point(x=float(x), y=float(y)) for x, y in face.landmarks],
            "det_score": face.score,
        }


class SubjectOut(Model):
    """An enrolled subject."""

    id: str
    name: str | None
    external_id: str | None
    metadata: dict[str, Any]
    template_count: int
    created_at: str
    expires_at: str | None = Field(description="not found from then on, and removed; RFC 3339")
    consent_ref: str | None

    @classmethod
    def of(cls, subject: Subject) -> "SubjectOut":
        """From the gallery's record."""
        return cls(
            id=subject.id,
            name=subject.name,
            external_id=subject.external_id,
            metadata=dict(subject.metadata),
            template_count=subject.template_count,
            created_at=subject.created_at,
            expires_at=subject.expires_at,
            consent_ref=subject.consent_ref,
        )


class EnrolledSubject(SubjectOut):
    """The subject of an enrolment."""

    created: bool = Field(description="made by this request")


class SubjectRef(Model):
    """Who it is, in short."""

    id: str
    name: str | None


class BundleRef(Model):
    """Which bundle made the embeddings."""

    id: str = Field(description="name and version")
    sha256: str


class AcceptedImage(FaceLocation):
    """An image that became a template."""

    index: int = Field(description="place in the request, from 0")
    filename: str | None
    template_id: str


RejectReason = Literal[
    "no_face", "face_too_small", "multiple_faces", "not_an_image", "image_too_large"
]


class RejectedImage(Model):
    """An image that was not taken, and why."""

    index: int
    filename: str | None
    reasons: list[RejectReason]
    detail: str = Field(description="the reason in words, with what to change")


class EnrollAnswer(Model):
    """What was stored; it is on disk when this answer is sent."""

    subject: EnrolledSubject
    accepted: list[AcceptedImage]
    rejected: list[RejectedImage]
    bundle: BundleRef
    gallery_revision: int
    request_id: str


class CandidateOut(Model):
    """A subject that a face may show; its score is that of its best template."""

    subject: SubjectRef
    similarity: Similarity
    template_id: str

    @classmethod
    def of(cls, candidate: Candidate) -> "CandidateOut":
        """From the gallery's record."""
        return cls(
            subject=SubjectRef(id=candidate.subject.id, name=candidate.subject.name),
            similarity=candidate.similarity,
            template_id=candidate.template_id,
        )


class FaceOut(FaceLocation):
    """One face of the photo and what was decided of it."""

    decision: Literal["match", "unknown", "not_evaluated"]
    reason: Literal["no_threshold"] | None
    subject: SubjectRef | None = Field(description="who, for a match only")
    similarity: Similarity | None = Field(
        description="of the best candidate, whatever the decision"
    )
    margin: float | None = Field(description="lead over the second subject")
    candidates: list[CandidateOut]


class ThresholdOut(Model):
    """A face is a match when its similarity >= value."""

    value: Similarity | None
    source: Literal["default", "request", "none"]
    evidence: DefaultThreshold | None = Field(description="what the default was measured to do")
    gallery_subjects: int = Field(description="subjects enrolled at this moment")


class IdentifyAnswer(Model):
    """All faces of the photo, largest first."""

    faces: list[FaceOut]
    threshold: ThresholdOut
    bundle: BundleRef
    gallery_revision: int
    timing_ms: dict[str, float]
    request_id: str


class SubjectList(Model):
    """One page of subjects, oldest first."""

    subjects: list[SubjectOut]
    next_cursor: str | None = Field(description="pass as cursor for the next page; null at the end")


class Health(Model):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(Model):
    """The model computes and the gallery can be read."""

    status: Literal["ready"] = "ready"
    bundle: BundleRef
    detector: str
    device: str
    precision: str
    subjects: int
    templates: int


class Problem(BaseModel):
    """RFC 9457. `code` is the machine word, `errors` names each image or field."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[dict[str, Any]] = []
