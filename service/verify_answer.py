"""The JSON of a comparison of one with one."""

from pydantic import Field

from contract.calibration.thresholds import Basis
from contract.strict import Share
from service.decision import PairReason, PairVerdict, Source, Threshold
from service.faces_answer import SeenFaceOut
from service.schemas import BundleRef, EvidenceOut, Model, Similarity, SubjectRef


class VerifyThresholdOut(Model):
    """A pair is a match when its similarity >= value."""

    value: Similarity | None
    source: Source = Field(
        description="calibrated for target_fmr; of the request; the bundle's fixed default; or "
        "none, as note says"
    )
    target_fmr: Share | None = Field(description="share of strangers that may be called a match")
    fmr_upper95: Share | None = Field(
        description="95 % bound on it by the number of strangers that it was measured on"
    )
    basis: Basis | None = Field(description="estimate: no calibration is of galleries of one")
    evidence: EvidenceOut | None
    note: str | None = Field(description="what to know of it, in words")

    @classmethod
    def of(cls, threshold: Threshold) -> "VerifyThresholdOut":
        """FMR is the FPIR of a gallery of one."""
        return cls(
            value=threshold.value,
            source=threshold.source,
            target_fmr=threshold.target_fpir,
            fmr_upper95=threshold.fpir_upper95,
            basis=threshold.basis,
            evidence=EvidenceOut.of(threshold.evidence),
            note=threshold.note,
        )


class VerifyAnswer(Model):
    """Whether two photos, or a photo and a subject, are of the same."""

    decision: PairVerdict
    reason: PairReason | None = Field(description="why it was not evaluated")
    similarity: Similarity | None = Field(description="null only of a subject without templates")
    threshold: VerifyThresholdOut
    face: SeenFaceOut = Field(description="of image")
    other_face: SeenFaceOut | None = Field(description="of other_image; null with subject_id")
    subject: SubjectRef | None = Field(description="that of subject_id, match or not")
    template_id: str | None = Field(description="the subject's nearest template")
    bundle: BundleRef
    timing_ms: dict[str, float]
    request_id: str
