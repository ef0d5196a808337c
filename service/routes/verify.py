"""POST /v1/verify."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from service.decision import Threshold
from service.faces_answer import SeenFaceOut
from service.options import FacePolicy
from service.recognizer import Timing
from service.request_error import RequestError
from service.request_id import request_id_of
from service.routes.common import (
    COLLECTION,
    RuntimeDep,
    again_if_switched,
    bundle_ref,
    collection_of,
    problems,
    read_upload,
)
from service.schemas import BundleRef, SubjectRef
from service.thresholds import Thresholds
from service.usable_face import UsableFace
from service.verification import Terms, Verified, verify_images, verify_subject
from service.verify_answer import VerifyAnswer, VerifyThresholdOut

router = APIRouter(tags=["verify"])


class VerifyForm(BaseModel):
    """The multipart form. A field that is not listed is refused, so that no wish is lost."""

    model_config = ConfigDict(extra="forbid")

    image: UploadFile = Field(description="a JPEG, PNG or WebP file")
    other_image: UploadFile | None = Field(None, description="what to compare it with, or")
    subject_id: str | None = Field(None, description="of the subject to compare it with")
    collection: str | None = Field(None, description=COLLECTION)
    face_policy: FacePolicy = Field(
        "single", description="single refuses a photo of several faces, largest takes the largest"
    )
    target_fmr: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of strangers that may be called a match; default: the settings' "
        "target_fpir",
    )
    threshold: float | None = Field(None, ge=0, le=1, description="accept at this similarity")


@router.post(
    "/v1/verify",
    response_model=VerifyAnswer,
    responses=problems(400, 404, 409, 413, 415, 422, 503),
)
@again_if_switched
async def verify_faces(
    form: Annotated[VerifyForm, Form(media_type="multipart/form-data")],
    runtime: RuntimeDep,
    request: Request,
) -> VerifyAnswer:
    """Decide whether two photos, or a photo and an enrolled subject, show the same person.

    Send other_image or subject_id. Both photos must have a usable face. The threshold is the one
    for a comparison of one with one, and lower than that of a search among many.
    """
    if (form.other_image is None) == (form.subject_id is None):
        raise RequestError("other_image", "Send other_image or subject_id, one of the two.")
    if form.threshold is not None and form.target_fmr is not None:
        raise RequestError("threshold", "Send threshold or target_fmr, not both.")
    served = await collection_of(runtime, form.collection)
    upload = await read_upload(form.image)
    terms = Terms(
        face_policy=form.face_policy,
        # Whatever shows a face: nothing is kept.
        quality=runtime.quality_policies.named("off"),
        find_threshold=partial(_threshold, served.thresholds, form),
    )
    recognizer = served.bundle.recognizer
    work: Callable[..., Verified]
    if form.subject_id is not None:
        work = partial(
            verify_subject, recognizer, served.gallery, upload.data, form.subject_id, terms
        )
    else:
        assert form.other_image is not None
        other = await read_upload(form.other_image)
        d_max = served.bundle.bundle.manifest.embedding.d_max
        work = partial(verify_images, recognizer, upload.data, other.data, terms, d_max=d_max)
    with runtime.timing() as timing:
        verified = await runtime.workers.run(partial(work, timing=timing))
    return _answer(verified, timing, bundle_ref(served.bundle), request_id_of(request.scope))


def _threshold(thresholds: Thresholds, form: VerifyForm, templates: int) -> Threshold:
    return thresholds.for_one(
        templates=templates, requested=form.threshold, target_fmr=form.target_fmr
    )


def _answer(verified: Verified, timing: Timing, bundle: BundleRef, request_id: str) -> VerifyAnswer:
    compared = verified.comparison
    subject = compared.subject if compared else None
    candidate = compared.candidate if compared else None
    return VerifyAnswer(
        decision=verified.verdict,
        reason=verified.reason,
        similarity=verified.similarity,
        threshold=VerifyThresholdOut.of(verified.threshold),
        face=_face(verified.face),
        other_face=_face(verified.other) if verified.other else None,
        subject=SubjectRef(id=subject.id, name=subject.name) if subject else None,
        template_id=candidate.template_id if candidate else None,
        bundle=bundle,
        timing_ms=timing.rounded_ms(),
        request_id=request_id,
    )


def _face(used: UsableFace) -> SeenFaceOut:
    return SeenFaceOut.of(used.embedded.face, used.quality)
