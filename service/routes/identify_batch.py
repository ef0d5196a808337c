"""POST /v1/identify/batch."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Request, UploadFile
from pydantic import Field

from contract.errors import ImageError
from service.batch_answer import BatchAnswer, BatchResult, PhotoFaces
from service.batch_identification import identify_batch
from service.identification import IdentifiedFace
from service.identify_answer import face_out, threshold_out
from service.problems import problem_of
from service.request_error import RequestError
from service.request_id import request_id_of
from service.routes.common import (
    RuntimeDep,
    again_if_switched,
    bundle_ref,
    collection_of,
    problems,
    read_upload,
)
from service.routes.identify import IdentifyOptions, threshold_for

router = APIRouter(tags=["identify"])


class IdentifyBatchForm(IdentifyOptions):
    """The multipart form."""

    images: list[UploadFile] = Field(min_length=1, description="JPEG, PNG or WebP files")


@router.post(
    "/v1/identify/batch",
    response_model=BatchAnswer,
    responses=problems(400, 404, 409, 413, 422, 503),
)
@again_if_switched
async def identify_photos(
    form: Annotated[IdentifyBatchForm, Form(media_type="multipart/form-data")],
    runtime: RuntimeDep,
    request: Request,
) -> BatchAnswer:
    """Decide of each face in each photo who it is, as /v1/identify does of one photo.

    Each image has a result or a problem of its own: one that cannot be read spoils no other.
    """
    limit = runtime.settings.max_images_per_batch
    if not 1 <= len(form.images) <= limit:
        raise RequestError("images", f"Send 1 to {limit} images, not {len(form.images)}.")
    served = await collection_of(runtime, form.collection)
    find_threshold = threshold_for(form, served.thresholds)
    uploads = [await read_upload(image) for image in form.images]
    with runtime.timing() as timing:
        found = await runtime.workers.run(
            partial(
                identify_batch,
                served.bundle.recognizer,
                served.gallery,
                uploads,
                timing=timing,
                find_threshold=find_threshold,
                top_k=form.top_k,
                max_faces=form.max_faces,
                min_quality=form.min_quality,
            )
        )
    for faces in found.results:
        if not isinstance(faces, ImageError):
            runtime.metrics.identified(served.id, faces)
    return BatchAnswer(
        results=[
            _result(index, upload.filename, result, request)
            for index, (upload, result) in enumerate(zip(uploads, found.results, strict=True))
        ],
        threshold=threshold_out(found.threshold),
        bundle=bundle_ref(served.bundle),
        gallery_revision=found.revision,
        timing_ms=timing.rounded_ms(),
        request_id=request_id_of(request.scope),
    )


def _result(
    index: int,
    filename: str | None,
    result: tuple[IdentifiedFace, ...] | ImageError,
    request: Request,
) -> BatchResult:
    if not isinstance(result, ImageError):
        faces = PhotoFaces(faces=[face_out(face) for face in result])
        return BatchResult(index=index, filename=filename, answer=faces, problem=None)
    problem = problem_of(result, instance=request.url.path, request_id=request_id_of(request.scope))
    return BatchResult(index=index, filename=filename, answer=None, problem=problem)
