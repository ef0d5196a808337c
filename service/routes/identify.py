"""POST /v1/identify, also /identify."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from service.decision import Threshold, threshold_for
from service.identification import Identified, IdentifiedFace, identify
from service.request_id import request_id_of
from service.routes.common import RuntimeDep, bundle_ref, problems, read_upload
from service.schemas import (
    BundleRef,
    CandidateOut,
    FaceOut,
    IdentifyAnswer,
    SubjectRef,
    ThresholdOut,
)

router = APIRouter(tags=["identify"])


class IdentifyForm(BaseModel):
    """The multipart form. A field that is not listed is refused, so that no wish is lost."""

    model_config = ConfigDict(extra="forbid")

    image: UploadFile = Field(description="a JPEG, PNG or WebP file")
    max_faces: int = Field(0, ge=0, description="the largest so many; 0 for all")
    top_k: int = Field(1, ge=1, le=100, description="candidates for each face")
    threshold: float | None = Field(
        None, ge=0, le=1, description="accept at this similarity instead of the bundle's default"
    )


@router.post(
    "/v1/identify",
    response_model=IdentifyAnswer,
    responses=problems(400, 413, 415, 422, 503),
)
@router.post("/identify", include_in_schema=False, response_model=IdentifyAnswer)
async def identify_faces(
    form: Annotated[IdentifyForm, Form(media_type="multipart/form-data")],
    runtime: RuntimeDep,
    request: Request,
) -> IdentifyAnswer:
    """Decide of each face in the photo who it is: match or unknown.

    A photo without a face has no faces in its answer; someone who is not enrolled is unknown.
    Candidates are listed whatever the decision.
    """
    threshold = threshold_for(runtime.bundle.manifest, form.threshold)
    upload = await read_upload(form.image)
    identified = await runtime.workers.run(
        partial(
            identify,
            runtime.recognizer,
            runtime.gallery,
            upload.data,
            threshold=threshold,
            top_k=form.top_k,
            max_faces=form.max_faces,
        )
    )
    return _answer(
        identified,
        threshold,
        gallery_subjects=runtime.gallery.subject_count,
        bundle=bundle_ref(runtime),
        request_id=request_id_of(request.scope),
    )


def _answer(
    identified: Identified,
    threshold: Threshold,
    *,
    gallery_subjects: int,
    bundle: BundleRef,
    request_id: str,
) -> IdentifyAnswer:
    return IdentifyAnswer(
        faces=[_face(found) for found in identified.faces],
        threshold=ThresholdOut(
            value=threshold.value,
            source=threshold.source,
            evidence=threshold.evidence,
            gallery_subjects=gallery_subjects,
        ),
        bundle=bundle,
        gallery_revision=identified.revision,
        timing_ms={name: round(ms, 2) for name, ms in identified.timing.stages_ms.items()},
        request_id=request_id,
    )


def _face(found: IdentifiedFace) -> FaceOut:
    decision = found.decision
    who = decision.subject
    return FaceOut.model_validate(
        {
            **FaceOut.fields_of(found.face),
            "decision": decision.verdict,
            "reason": decision.reason,
            "subject": SubjectRef(id=who.subject.id, name=who.subject.name) if who else None,
            "similarity": decision.similarity,
            "margin": decision.margin,
            "candidates": [CandidateOut.of(candidate) for candidate in found.candidates],
        }
    )
