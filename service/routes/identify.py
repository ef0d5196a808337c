"""POST /v1/identify, also /identify."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from service.decision import Threshold
from service.identification import Identified, IdentifiedFace, identify
from service.request_error import RequestError
from service.request_id import request_id_of
from service.routes.common import RuntimeDep, bundle_ref, problems, read_upload
from service.runtime import Runtime
from service.schemas import (
    BundleRef,
    CandidateOut,
    EvidenceOut,
    FaceOut,
    IdentifyAnswer,
    QualityOut,
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
    mode: Literal["decide", "investigate"] = Field(
        "decide", description="investigate lists candidates for people to look at, and decides not"
    )
    target_fpir: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of strangers that may be called a match; default: of the settings",
    )
    threshold: float | None = Field(
        None, ge=0, le=1, description="accept at this similarity, whatever the gallery's size"
    )
    min_quality: float = Field(
        0, ge=0, le=1, description="faces of a lower quality score are not evaluated"
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
    find_threshold = _threshold_for(form, runtime)
    upload = await read_upload(form.image)
    identified = await runtime.workers.run(
        partial(
            identify,
            runtime.recognizer,
            runtime.gallery,
            upload.data,
            find_threshold=find_threshold,
            top_k=form.top_k,
            max_faces=form.max_faces,
            min_quality=form.min_quality,
        )
    )
    return _answer(
        identified,
        bundle=bundle_ref(runtime),
        request_id=request_id_of(request.scope),
    )


def _threshold_for(form: IdentifyForm, runtime: Runtime) -> Callable[[], Threshold]:
    """What looks the threshold up. Raises RequestError for wishes that contradict each other."""
    if form.threshold is not None and form.target_fpir is not None:
        raise RequestError("threshold", "Send threshold or target_fpir, not both.")
    if form.mode == "decide":
        return partial(
            runtime.thresholds.threshold, requested=form.threshold, target_fpir=form.target_fpir
        )
    if form.threshold is not None or form.target_fpir is not None:
        raise RequestError(
            "mode", "mode=investigate decides nothing: send it without threshold and target_fpir."
        )
    return runtime.thresholds.investigating


def _answer(identified: Identified, *, bundle: BundleRef, request_id: str) -> IdentifyAnswer:
    t = identified.threshold
    return IdentifyAnswer(
        faces=[_face(found) for found in identified.faces],
        threshold=ThresholdOut(
            value=t.value,
            source=t.source,
            target_fpir=t.target_fpir,
            fpir_upper95=t.fpir_upper95,
            basis=t.basis,
            evidence=EvidenceOut.of(t.evidence),
            gallery_subjects=t.gallery_subjects,
            note=t.note,
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
            "quality": QualityOut.of(found.quality),
            "decision": decision.verdict,
            "reason": decision.reason,
            "subject": SubjectRef(id=who.subject.id, name=who.subject.name) if who else None,
            "similarity": decision.similarity,
            "margin": decision.margin,
            "candidates": [CandidateOut.of(candidate) for candidate in found.candidates],
        }
    )
