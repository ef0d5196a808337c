"""POST /v1/enroll, also /enroll."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Header, Request, Response, UploadFile
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from service.access.caller import present_caller
from service.base64_image import Base64Image
from service.enroll_warnings import warnings_of
from service.enrolment import (
    Enrolled,
    SubjectWish,
    Terms,
    Upload,
    enroll,
)
from service.idempotency import Answer, fingerprint
from service.metadata import check_depth
from service.options import DuplicateCheck, FacePolicy, PolicyName, StoreImage
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
from service.schemas import (
    AcceptedImage,
    BundleRef,
    EnrollAnswer,
    EnrolledSubject,
    QualityOut,
    RejectedImage,
    SubjectOut,
)

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="of your own choice, a new one for each request: the same request, sent again "
        "with it, gets the first answer and enrols nobody twice",
    ),
]
_REPLAYED: Final[dict[str, Any]] = {
    "Idempotent-Replayed": {
        "description": "true where the same request was answered before",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
DRY_RUN: Final = "true looks at everything, answers as if, and stores nothing"

router = APIRouter(tags=["enrol"])


class EnrollOptions(BaseModel):
    """What form and JSON say alike. A field that is not listed is refused: no wish is lost."""

    model_config = ConfigDict(extra="forbid")

    collection: str | None = Field(None, description=COLLECTION)
    subject_id: str | None = Field(None, description="of a subject to add to, or to make")
    name: str | None = Field(None, description="for people to read")
    external_id: str | None = Field(None, description="the subject's id in your own system")
    expires_at: str | None = Field(
        None, description="RFC 3339; from then on the subject is not found, and is removed"
    )
    consent_ref: str | None = Field(None, description="your own reference to the consent")
    store_image: StoreImage = Field(
        "none", description="crop keeps the crop of each face, to embed it by a later bundle"
    )
    face_policy: FacePolicy = Field(
        "single", description="single refuses a photo of several faces, largest takes the largest"
    )
    quality: PolicyName | None = Field(
        None, description="what is asked of each face; the service's setting unless given"
    )
    duplicate_check: DuplicateCheck = Field(
        "warn", description="of other subjects that the photos match: name them, or store nothing"
    )


def _true_or_false(text: Any) -> bool:
    """What a form's text says. Raises PydanticCustomError: neither, and a wish must not be lost."""
    said = {"true": True, "false": False}.get(str(text).lower())
    if said is None:
        raise PydanticCustomError("true_or_false", "send true or false")
    return said


class EnrollForm(EnrollOptions):
    """The multipart form. A field that is not listed is refused, so that no wish is lost."""

    images: list[UploadFile] = Field(
        min_length=1, description="JPEG, PNG or WebP files, one face each"
    )
    metadata: str | None = Field(None, description="a JSON object to keep with the subject")
    dry_run: Annotated[bool, BeforeValidator(_true_or_false)] = Field(False, description=DRY_RUN)


class EnrollBody(EnrollOptions):
    """The same in JSON. A field that is not listed is refused, so that no wish is lost."""

    model_config = ConfigDict(strict=True)

    images: list[Base64Image] = Field(min_length=1, description="one face each")
    metadata: dict[str, Any] | None = Field(None, description="kept with the subject")
    dry_run: bool = Field(False, description=DRY_RUN)


# Of /enroll, too. The JSON routes come first: they take no other body.
_ANSWERS: Final[dict[str, Any]] = {
    "response_model": EnrollAnswer,
    "status_code": 201,
    "responses": {
        200: {
            "description": "Added to a subject that was there, or a dry run",
            "model": EnrollAnswer,
            "headers": _REPLAYED,
        },
        201: {"headers": _REPLAYED},
        **problems(400, 404, 409, 413, 415, 422, 503, 507),
    },
}
_json_router = APIRouter(route_class=JsonRoute)


@_json_router.post("/v1/enroll", **_ANSWERS)
@_json_router.post("/enroll", include_in_schema=False, **_ANSWERS)
async def enroll_base64_images(
    body: EnrollBody,
    runtime: RuntimeDep,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """As enroll_images, of a JSON object."""
    _check_number(runtime, len(body.images))
    uploads = [Upload(filename=None, data=image) for image in body.images]
    return await _enroll(body, body.metadata, uploads, runtime, request, idempotency_key)


router.include_router(_json_router)


@router.post(
    "/v1/enroll",
    dependencies=[Depends(check_form)],
    openapi_extra=json_too(EnrollBody),
    **_ANSWERS,
)
@router.post("/enroll", dependencies=[Depends(check_form)], include_in_schema=False, **_ANSWERS)
async def enroll_images(
    form: Annotated[EnrollForm, Form(media_type="multipart/form-data")],
    runtime: RuntimeDep,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Store the face of each image as a template of one subject.

    201 for a new subject, 200 for templates added to one. Images that cannot be used are listed
    with their reasons; when none can, nothing is stored and the answer is 422.

    The request is a form with files, or JSON with the files in Base64. With `dry_run` all is looked
    at and answered as it would be, with 200 and without template ids, and nothing is stored.

    With an `Idempotency-Key` a successful answer is kept for a time (24 hours unless the service is
    set otherwise) and given again, word for word and with the header `Idempotent-Replayed: true`,
    to the same fields and files. With others it is 409 `idempotency_conflict`, and while the first
    request is still under way 409 `request_under_way`. Refusals are not kept: mend and send again.
    Nor are answers to a dry run, which may bear the key of the enrolment that is to follow.
    Keys live in the memory of one process: a restart forgets them.
    """
    _check_number(runtime, len(form.images))
    metadata = _metadata(form.metadata)
    uploads = [await read_upload(image) for image in form.images]
    return await _enroll(form, metadata, uploads, runtime, request, idempotency_key)


def _check_number(runtime: Runtime, images: int) -> None:
    limit = runtime.settings.max_images_per_request
    if not 1 <= images <= limit:
        raise RequestError("images", f"Send 1 to {limit} images, not {images}.")


@again_if_switched
async def _enroll(
    wanted: EnrollForm | EnrollBody,
    metadata: dict[str, Any] | None,
    uploads: Sequence[Upload],
    runtime: Runtime,
    request: Request,
    idempotency_key: str | None,
) -> Response:
    if metadata is not None:
        check_depth(metadata)
    wish = SubjectWish(
        subject_id=wanted.subject_id,
        name=wanted.name,
        external_id=wanted.external_id,
        metadata=metadata,
        expires_at=wanted.expires_at,
        consent_ref=wanted.consent_ref,
        store_image=wanted.store_image,
    )
    served = await collection_of(runtime, wanted.collection)
    terms = Terms(
        face_policy=wanted.face_policy,
        quality=runtime.quality_policies.named(wanted.quality),
        duplicate_check=wanted.duplicate_check,
        find_threshold=served.thresholds.threshold,
    )

    def work(timing: Timing) -> Answer:
        enrolled = enroll(
            served.bundle.recognizer,
            served.gallery,
            uploads,
            wish,
            terms,
            timing=timing,
            dry_run=wanted.dry_run,
        )
        body = _answer(
            enrolled,
            bundle_ref(served.bundle),
            request_id_of(request.scope),
            dry_run=wanted.dry_run,
        )
        new = enrolled.enrollment.created and not wanted.dry_run
        return Answer(status=201 if new else 200, body=body.model_dump_json().encode())

    owner = present_caller().key_id

    def once(timing: Timing) -> Answer:
        if idempotency_key is None or wanted.dry_run:
            return work(timing)
        content = _content(wanted, metadata, uploads)
        return runtime.idempotency.once(
            idempotency_key, content, partial(work, timing), owner=owner
        )

    with runtime.timing() as timing:
        # All of it in the worker thread, so that the answer is kept for a client that has gone
        # away.
        answer = await runtime.workers.run(partial(once, timing))
    return Response(
        answer.body,
        answer.status,
        headers={"Idempotent-Replayed": "true"} if answer.replayed else None,
        media_type="application/json",
    )


def _content(
    wanted: EnrollOptions, metadata: dict[str, Any] | None, uploads: Sequence[Upload]
) -> bytes:
    """What two requests have in common if they ask for the same."""
    options = wanted.model_dump(include=set(EnrollOptions.model_fields))
    # ASCII: JSON may hold half a surrogate pair, which UTF-8 cannot carry.
    parts = [json.dumps([options, metadata], sort_keys=True).encode("ascii")]
    for upload in uploads:
        parts += [(upload.filename or "").encode(), upload.data]
    return fingerprint(parts)


def _metadata(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError("metadata", f"metadata is not JSON: {error}.") from error
    if not isinstance(metadata, dict):
        raise RequestError("metadata", 'metadata must be a JSON object, as in {"team": "blue"}.')
    return metadata


def _answer(
    enrolled: Enrolled, bundle: BundleRef, request_id: str, *, dry_run: bool
) -> EnrollAnswer:
    enrollment = enrolled.enrollment
    subject = SubjectOut.of(enrollment.subject).model_dump()
    return EnrollAnswer(
        subject=EnrolledSubject(created=enrollment.created, **subject),
        accepted=[
            AcceptedImage(
                index=image.index,
                filename=image.upload.filename,
                template_id=None if dry_run else template_id,
                quality=QualityOut.of(image.face.quality),
                **AcceptedImage.fields_of(image.face.embedded.face),
            )
            for image, template_id in zip(enrolled.accepted, enrollment.template_ids, strict=True)
        ],
        rejected=[
            RejectedImage.model_validate(
                {"index": r.index, "filename": r.filename, "reasons": r.reasons, "detail": r.detail}
            )
            for r in enrolled.rejected
        ],
        warnings=warnings_of(enrolled.duplicates),
        dry_run=dry_run,
        bundle=bundle,
        gallery_revision=enrollment.revision,
        request_id=request_id,
    )
