"""POST /v1/enroll, also /enroll."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Header, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from service.duplicates import Duplicates
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
from service.request_error import RequestError
from service.request_id import request_id_of
from service.routes.common import (
    COLLECTION,
    RuntimeDep,
    bundle_ref,
    collection_of,
    problems,
    read_upload,
)
from service.schemas import (
    AcceptedImage,
    BundleRef,
    EnrollAnswer,
    EnrolledSubject,
    EnrollWarning,
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

router = APIRouter(tags=["enrol"])


class EnrollForm(BaseModel):
    """The multipart form. A field that is not listed is refused, so that no wish is lost."""

    model_config = ConfigDict(extra="forbid")

    images: list[UploadFile] = Field(
        min_length=1, description="JPEG, PNG or WebP files, one face each"
    )
    collection: str | None = Field(None, description=COLLECTION)
    subject_id: str | None = Field(None, description="of a subject to add to, or to make")
    name: str | None = Field(None, description="for people to read")
    external_id: str | None = Field(None, description="the subject's id in your own system")
    metadata: str | None = Field(None, description="a JSON object to keep with the subject")
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


@router.post(
    "/v1/enroll",
    response_model=EnrollAnswer,
    status_code=201,
    responses={
        200: {
            "description": "Added to a subject that was there",
            "model": EnrollAnswer,
            "headers": _REPLAYED,
        },
        201: {"headers": _REPLAYED},
        **problems(400, 404, 409, 413, 415, 422, 503, 507),
    },
)
@router.post("/enroll", include_in_schema=False, response_model=EnrollAnswer, status_code=201)
async def enroll_images(
    form: Annotated[EnrollForm, Form(media_type="multipart/form-data")],
    runtime: RuntimeDep,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Store the face of each image as a template of one subject.

    201 for a new subject, 200 for templates added to one. Images that cannot be used are listed
    with their reasons; when none can, nothing is stored and the answer is 422.

    With an `Idempotency-Key` a successful answer is kept for a time (24 hours unless the service is
    set otherwise) and given again, word for word and with the header `Idempotent-Replayed: true`,
    to the same fields and files. With others it is 409 `idempotency_conflict`, and while the first
    request is still under way 409 `request_under_way`. Refusals are not kept: mend and send again.
    Keys live in the memory of one process: a restart forgets them.
    """
    limit = runtime.settings.max_images_per_request
    if not 1 <= len(form.images) <= limit:
        raise RequestError("images", f"Send 1 to {limit} images, not {len(form.images)}.")
    wish = SubjectWish(
        subject_id=form.subject_id,
        name=form.name,
        external_id=form.external_id,
        metadata=_metadata(form.metadata),
        expires_at=form.expires_at,
        consent_ref=form.consent_ref,
        store_image=form.store_image,
    )
    served = await collection_of(runtime, form.collection)
    terms = Terms(
        face_policy=form.face_policy,
        quality=runtime.quality_policies.named(form.quality),
        duplicate_check=form.duplicate_check,
        find_threshold=served.thresholds.threshold,
    )
    uploads = [await read_upload(image) for image in form.images]

    def work() -> Answer:
        enrolled = enroll(served.bundle.recognizer, served.gallery, uploads, wish, terms)
        body = _answer(enrolled, bundle_ref(served.bundle), request_id_of(request.scope))
        return Answer(
            status=201 if enrolled.enrollment.created else 200,
            body=body.model_dump_json().encode(),
        )

    def once() -> Answer:
        if idempotency_key is None:
            return work()
        return runtime.idempotency.once(idempotency_key, _content(form, uploads), work)

    # All of it in the worker thread, so that the answer is kept for a client that has gone away.
    answer = await runtime.workers.run(once)
    return Response(
        answer.body,
        answer.status,
        headers={"Idempotent-Replayed": "true"} if answer.replayed else None,
        media_type="application/json",
    )


def _content(form: EnrollForm, uploads: Sequence[Upload]) -> bytes:
    """What two requests have in common if they ask for the same."""
    parts = [form.model_dump_json(exclude={"images"}).encode()]
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
    check_depth(metadata)
    return metadata


def _answer(enrolled: Enrolled, bundle: BundleRef, request_id: str) -> EnrollAnswer:
    enrollment = enrolled.enrollment
    subject = SubjectOut.of(enrollment.subject).model_dump()
    return EnrollAnswer(
        subject=EnrolledSubject(created=enrollment.created, **subject),
        accepted=[
            AcceptedImage(
                index=image.index,
                filename=image.upload.filename,
                template_id=template_id,
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
        warnings=_warnings(enrolled.duplicates),
        bundle=bundle,
        gallery_revision=enrollment.revision,
        request_id=request_id,
    )


def _warnings(duplicates: Duplicates) -> list[EnrollWarning]:
    found = [
        EnrollWarning(
            code="possible_duplicate",
            subject_id=d.subject_id,
            similarity=d.similarity,
            detail=f"The photos may show {d.subject_id!r}, who is enrolled already: merge the two, "
            "or leave them apart if they are not the same.",
        )
        for d in duplicates.found
    ]
    if duplicates.unknown is None:
        return found
    unknown = f"Whether the photos show another subject was not checked: {duplicates.unknown}"
    return [
        EnrollWarning(
            code="duplicates_not_checked", subject_id=None, similarity=None, detail=unknown
        )
    ]
