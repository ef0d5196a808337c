"""POST /v1/enroll, also /enroll."""

import json
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from service.duplicates import Duplicates
from service.enrolment import DuplicateCheck, Enrolled, StoreImage, SubjectWish, Terms, enroll
from service.request_error import RequestError
from service.request_id import request_id_of
from service.routes.common import RuntimeDep, bundle_ref, problems, read_upload
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
from service.settings import PolicyName
from service.usable_face import FacePolicy

# Deeper JSON can be stored, but the framework could not write it into an answer again.
METADATA_MAX_DEPTH: Final = 32

router = APIRouter(tags=["enrol"])


class EnrollForm(BaseModel):
    """The multipart form. A field that is not listed is refused, so that no wish is lost."""

    model_config = ConfigDict(extra="forbid")

    images: list[UploadFile] = Field(description="JPEG, PNG or WebP files, one face each")
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
        200: {"description": "Added to a subject that was there", "model": EnrollAnswer},
        **problems(400, 409, 413, 415, 422, 503, 507),
    },
)
@router.post("/enroll", include_in_schema=False, response_model=EnrollAnswer, status_code=201)
async def enroll_images(
    form: Annotated[EnrollForm, Form(media_type="multipart/form-data")],
    runtime: RuntimeDep,
    request: Request,
    response: Response,
) -> EnrollAnswer:
    """Store the face of each image as a template of one subject.

    201 for a new subject, 200 for templates added to one. Images that cannot be used are listed
    with their reasons; when none can, nothing is stored and the answer is 422.
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
    terms = Terms(
        face_policy=form.face_policy,
        quality=runtime.quality_policies.named(form.quality),
        duplicate_check=form.duplicate_check,
        find_threshold=runtime.thresholds.threshold,
    )
    uploads = [await read_upload(image) for image in form.images]
    enrolled = await runtime.workers.run(
        partial(enroll, runtime.recognizer, runtime.gallery, uploads, wish, terms)
    )
    response.status_code = 201 if enrolled.enrollment.created else 200
    return _answer(enrolled, bundle_ref(runtime), request_id_of(request.scope))


def _metadata(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError("metadata", f"metadata is not JSON: {error}.") from error
    if not isinstance(metadata, dict):
        raise RequestError("metadata", 'metadata must be a JSON object, as in {"team": "blue"}.')
    if not _nests_at_most(metadata, METADATA_MAX_DEPTH):
        raise RequestError("metadata", f"metadata nests more than {METADATA_MAX_DEPTH} levels.")
    return metadata


def _nests_at_most(value: Any, levels: int) -> bool:
    """No more than so many objects and lists inside one another."""
    if not isinstance(value, (dict, list)):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_nests_at_most(item, levels - 1) for item in inner)


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
