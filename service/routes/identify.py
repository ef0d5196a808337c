"""POST /v1/identify, also /identify."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from service.base64_image import Base64Image
from service.decision import Threshold
from service.identification import Identified, identify
from service.identify_answer import face_out, threshold_out
from service.options import Mode
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
from service.routes.json_body import JsonRoute, check_form, json_too
from service.runtime import Runtime
from service.schemas import BundleRef, IdentifyAnswer
from service.thresholds import Thresholds

router = APIRouter(tags=["identify"])


class IdentifyOptions(BaseModel):
    """What is asked of each photo. A field that is not listed is refused: no wish is lost."""

    model_config = ConfigDict(extra="forbid")

    collection: str | None = Field(None, description=COLLECTION)
    max_faces: int = Field(0, ge=0, description="the largest so many; 0 for all")
    top_k: int = Field(1, ge=1, le=100, description="candidates for each face")
    mode: Mode = Field(
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


class IdentifyForm(IdentifyOptions):
    """The multipart form."""

    image: UploadFile = Field(description="a JPEG, PNG or WebP file")


class IdentifyBody(IdentifyOptions):
    """The same in JSON."""

    model_config = ConfigDict(strict=True)

    image: Base64Image


_ANSWERS: Final[dict[str, Any]] = {
    "response_model": IdentifyAnswer,
    "responses": problems(400, 404, 409, 413, 415, 422, 503),
}
_json_router = APIRouter(route_class=JsonRoute)


@_json_router.post("/v1/identify", **_ANSWERS)
@_json_router.post("/identify", include_in_schema=False, **_ANSWERS)
async def identify_base64_image(
    body: IdentifyBody, runtime: RuntimeDep, request: Request
) -> IdentifyAnswer:
    """As identify_faces, of a JSON object."""
    return await _identify(body, body.image, runtime, request)


# The JSON routes come first: they take no other body.
router.include_router(_json_router)


@router.post(
    "/v1/identify",
    dependencies=[Depends(check_form)],
    openapi_extra=json_too(IdentifyBody),
    **_ANSWERS,
)
@router.post("/identify", dependencies=[Depends(check_form)], include_in_schema=False, **_ANSWERS)
async def identify_faces(
    form: Annotated[IdentifyForm, Form(media_type="multipart/form-data")],
    runtime: RuntimeDep,
    request: Request,
) -> IdentifyAnswer:
    """Decide of each face in the photo who it is: match or unknown.

    A photo without a face has no faces in its answer; someone who is not enrolled is unknown.
    Candidates are listed whatever the decision. The request is a form with a file, or JSON with the
    file in Base64.
    """
    upload = await read_upload(form.image)
    return await _identify(form, upload.data, runtime, request)


@again_if_switched
async def _identify(
    wanted: IdentifyOptions, image: bytes, runtime: Runtime, request: Request
) -> IdentifyAnswer:
    served = await collection_of(runtime, wanted.collection)
    find_threshold = threshold_for(wanted, served.thresholds)
    with runtime.timing() as timing:
        identified = await runtime.workers.run(
            partial(
                identify,
                served.bundle.recognizer,
                served.gallery,
                image,
                timing=timing,
                find_threshold=find_threshold,
                top_k=wanted.top_k,
                max_faces=wanted.max_faces,
                min_quality=wanted.min_quality,
            )
        )
    runtime.metrics.identified(served.id, identified.faces)
    return _answer(
        identified,
        timing,
        bundle=bundle_ref(served.bundle),
        request_id=request_id_of(request.scope),
    )


def threshold_for(form: IdentifyOptions, thresholds: Thresholds) -> Callable[[], Threshold]:
    """What looks the threshold up. Raises RequestError for wishes that contradict each other."""
    if form.threshold is not None and form.target_fpir is not None:
        raise RequestError("threshold", "Send threshold or target_fpir, not both.")
    if form.mode == "decide":
        return partial(thresholds.threshold, requested=form.threshold, target_fpir=form.target_fpir)
    if form.threshold is not None or form.target_fpir is not None:
        raise RequestError(
            "mode", "mode=investigate decides nothing: send it without threshold and target_fpir."
        )
    return thresholds.investigating


def _answer(
    identified: Identified, timing: Timing, *, bundle: BundleRef, request_id: str
) -> IdentifyAnswer:
    return IdentifyAnswer(
        faces=[face_out(found) for found in identified.faces],
        threshold=threshold_out(identified.threshold),
        bundle=bundle,
        gallery_revision=identified.revision,
        timing_ms=timing.rounded_ms(),
        request_id=request_id,
    )
