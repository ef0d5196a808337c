"""The JSON of the API (snake_case), as pydantic models. Pixels are of the upright image."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.calibration.records import Estimate
from contract.calibration.thresholds import Basis
from contract.detection.base import DetectedFace
from contract.strict import Share
from index.records import Candidate, Subject
from service.decision import Evidence, Reason, Source
from service.quality.measures import Quality

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


class QualityOut(Model):
    """How good a face is to be recognised. Angles are degrees of the upright face."""

    score: Annotated[float, Field(ge=0, le=1, description="as good as the worst of the rest")]
    sharpness: Annotated[float, Field(ge=0, le=1)]
    brightness: Annotated[float, Field(ge=0, le=1, description="mean of the face")]
    covered: Annotated[
        float, Field(ge=0, le=1, description="how far parts of the face differ in colour")
    ]
    face_px: float = Field(description="shorter side of the box in pixels of the photo")
    yaw: float = Field(description="positive looks to the right of the photo")
    pitch: float = Field(description="positive looks up")
    roll: float = Field(description="positive leans clockwise")

    @classmethod
    def of(cls, quality: Quality | None) -> "QualityOut | None":
        """From what was measured; None of what is no face."""
        if quality is None:
            return None
        return cls(
            score=round(quality.score, 3),
            sharpness=round(quality.sharpness, 3),
            brightness=round(quality.brightness, 3),
            covered=round(quality.covered, 3),
            face_px=round(quality.face_px, 1),
            yaw=round(quality.yaw, 1),
            pitch=round(quality.pitch, 1),
            roll=round(quality.roll, 1),
        )


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

    created: bool = Field(
        description="made by this request; in a dry run it would be, by the id given or a free one"
    )


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
    template_id: str | None = Field(description="null in a dry run, which stores none")
    quality: QualityOut | None = Field(description="null where whole images are taken, not faces")


RejectReason = Literal[
    "no_face",
    "multiple_faces",
    "face_too_small",
    "low_sharpness",
    "low_brightness",
    "extreme_pose",
    "face_covered",
    "low_detection_score",
    "nearer_to_other_subject",
    "not_an_image",
    "image_too_large",
]


class RejectedImage(Model):
    """An image that was not taken, and why."""

    index: int
    filename: str | None
    reasons: list[RejectReason]
    detail: str = Field(description="the reasons in words, with what to change")


class EnrollWarning(Model):
    """What an enrolment did, and somebody should look at."""

    code: Literal["possible_duplicate", "duplicates_not_checked"]
    subject_id: str | None = Field(description="another subject that looks as the photos do")
    similarity: Similarity | None = Field(description="of that subject to the nearest photo")
    detail: str = Field(description="what was seen in words, with what to do")


class EnrollAnswer(Model):
    """What was stored; it is on disk when this answer is sent. Of a dry run, what would be."""

    subject: EnrolledSubject
    accepted: list[AcceptedImage]
    rejected: list[RejectedImage]
    warnings: list[EnrollWarning]
    dry_run: bool = Field(description="true: nothing was stored, this is what would have been")
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

    quality: QualityOut | None = Field(description="null where whole images are taken, not faces")
    decision: Literal["match", "unknown", "not_evaluated"]
    reason: Reason | None = Field(description="why it was not evaluated")
    subject: SubjectRef | None = Field(description="who, for a match only")
    similarity: Similarity | None = Field(
        description="of the best candidate, whatever the decision"
    )
    margin: float | None = Field(description="lead over the second subject")
    candidates: list[CandidateOut]
    receipt: str | None = Field(
        description="send it to /v1/feedback to confirm or reject this answer; null where there is "
        "no candidate"
    )


class EvidenceOut(Model):
    """The measured gallery that a threshold rests on."""

    calibration: Literal["collection", "bundle"] = Field(description="whose it is")
    data: str = Field(description="whose photos")
    gallery_subjects: int
    strangers: int = Field(description="people searched for who were not in it")
    fpir: Share | None = Field(description="share of them called a match there, for this target")
    fnir: Estimate | None = Field(description="share of the enrolled that were missed there")
    made_at: str | None = Field(description="of a collection's own; RFC 3339, UTC")

    @classmethod
    def of(cls, evidence: Evidence | None) -> "EvidenceOut | None":
        """From the decision's record."""
        if evidence is None:
            return None
        return cls(
            calibration=evidence.calibration,
            data=evidence.data,
            gallery_subjects=evidence.gallery_subjects,
            strangers=evidence.strangers,
            fpir=evidence.fpir,
            fnir=evidence.fnir,
            made_at=evidence.made_at,
        )


class ThresholdOut(Model):
    """A face is a match when its similarity >= value."""

    value: Similarity | None
    source: Source = Field(
        description="calibrated for target_fpir in a gallery of this size; of the request; the "
        "bundle's fixed default; or none, as note says"
    )
    target_fpir: Share | None = Field(description="share of strangers that may be called a match")
    fpir_upper95: Share | None = Field(
        description="95 % bound on it by the number of strangers that it was measured on"
    )
    basis: Basis | None = Field(
        description="measured in a gallery of this size, interpolated between two, or an estimate"
    )
    evidence: EvidenceOut | None
    gallery_subjects: int = Field(description="subjects enrolled at this moment")
    note: str | None = Field(description="what to know of it, in words")


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
    embedder_runtime: str
    device: str
    precision: str
    subject_count: int | None = Field(description="null to who has no key for the collection")
    template_count: int | None = Field(description="null to who has no key for the collection")


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


class JobOut(Model):
    """Long work. Times are RFC 3339 in UTC."""

    id: str
    kind: str
    status: Literal["queued", "running", "succeeded", "failed"]
    progress: Annotated[float, Field(ge=0, le=1, description="share of the work that is done")]
    created_at: str
    started_at: str | None
    finished_at: str | None
    result: dict[str, Any] | None = Field(description="what a job that succeeded came to")
    error: Problem | None = Field(description="why a job failed")


class JobAnswer(Model):
    """The answer 202 to a request that became a job."""

    job: JobOut
