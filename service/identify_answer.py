"""From what was identified to the JSON of it."""

from service.decision import Threshold
from service.identification import IdentifiedFace
from service.schemas import (
    CandidateOut,
    EvidenceOut,
    FaceOut,
    QualityOut,
    SubjectRef,
    ThresholdOut,
)


def face_out(found: IdentifiedFace) -> FaceOut:
    """One face, and what was decided of it."""
    decision = found.decision
    who = decision.subject
    return FaceOut.model_validate(
        {
            **FaceOut.fields_of(found.face),
            "quality": QualityOut.of(found.quality),
            "decision": decision.verdict,
            "reason": decision.reason,
            "subject": SubjectRef(id=who.subject.id, name=who.subject.name) if who else None,
            "similarity": decision.similarity,
            "margin": decision.margin,
            "candidates": [CandidateOut.of(candidate) for candidate in found.candidates],
            "receipt": found.receipt,
        }
    )


def threshold_out(threshold: Threshold) -> ThresholdOut:
    """The threshold of a search, and what it rests on."""
    return ThresholdOut(
        value=threshold.value,
        source=threshold.source,
        target_fpir=threshold.target_fpir,
        fpir_upper95=threshold.fpir_upper95,
        basis=threshold.basis,
        evidence=EvidenceOut.of(threshold.evidence),
        gallery_subjects=threshold.gallery_subjects,
        note=threshold.note,
    )
