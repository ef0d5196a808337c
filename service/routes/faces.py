"""POST /v1/detect and /v1/embed: the faces of a photo, whoever they are."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from contract.bundle import Bundle
from service.collections import ServedCollection
from service.faces_answer import (
    ContractOut,
    DetectAnswer,
    EmbedAnswer,
    EmbeddedFaceOut,
    ImageSize,
    SeenFaceOut,
)
from service.recognizer import Timing
from service.request_id import request_id_of
from service.routes.common import (
    COLLECTION,
    RuntimeDep,
    bundle_ref,
    collection_of,
    problems,
    read_upload,
)
from service.runtime import Runtime
from service.seen_faces import SeenFace, SeenFaces, seen_faces

router = APIRouter(tags=["faces"])


class FacesForm(BaseModel):
    """The multipart form. A field that is not listed is refused, so that no wish is lost."""

    model_config = ConfigDict(extra="forbid")

    image: UploadFile = Field(description="a JPEG, PNG or WebP file")
    collection: str | None = Field(None, description=COLLECTION)
    max_faces: int = Field(0, ge=0, description="the largest so many; 0 for all")


@router.post(
    "/v1/detect",
    response_model=DetectAnswer,
    responses=problems(400, 404, 409, 413, 415, 422, 503),
)
async def detect_faces(
    form: Annotated[FacesForm, Form(media_type="multipart/form-data")],
    runtime: RuntimeDep,
    request: Request,
) -> DetectAnswer:
    """Where the faces of a photo are and how good they are, largest first.

    Nothing is embedded, searched for or kept. A photo without a face has no faces in its answer.
    """
    served = await collection_of(runtime, form.collection)
    with runtime.timing() as timing:
        seen = await _seen(form, runtime, served, timing, embedded=False)
    return DetectAnswer(
        image=ImageSize(width=seen.width, height=seen.height),
        faces=[SeenFaceOut.of(face.face, face.quality) for face in seen.faces],
        timing_ms=timing.rounded_ms(),
        request_id=request_id_of(request.scope),
    )


@router.post(
    "/v1/embed",
    response_model=EmbedAnswer,
    responses=problems(400, 404, 409, 413, 415, 422, 503),
)
async def embed_faces(
    form: Annotated[FacesForm, Form(media_type="multipart/form-data")],
    runtime: RuntimeDep,
    request: Request,
) -> EmbedAnswer:
    """The faces of a photo with their embeddings, largest first. Nothing is kept.

    An embedding is biometric data of a person: no other operation gives one out, and this one wants
    a scope of its own. `contract` says how to compare embeddings.
    """
    served = await collection_of(runtime, form.collection)
    with runtime.timing() as timing:
        seen = await _seen(form, runtime, served, timing, embedded=True)
    return EmbedAnswer(
        image=ImageSize(width=seen.width, height=seen.height),
        faces=[_embedded(face) for face in seen.faces],
        contract=_contract(served.bundle.bundle),
        bundle=bundle_ref(served.bundle),
        timing_ms=timing.rounded_ms(),
        request_id=request_id_of(request.scope),
    )


async def _seen(
    form: FacesForm,
    runtime: Runtime,
    served: ServedCollection,
    timing: Timing,
    *,
    embedded: bool,
) -> SeenFaces:
    upload = await read_upload(form.image)
    return await runtime.workers.run(
        partial(
            seen_faces,
            served.bundle.recognizer,
            upload.data,
            timing=timing,
            max_faces=form.max_faces,
            embedded=embedded,
        )
    )


def _embedded(seen: SeenFace) -> EmbeddedFaceOut:
    assert seen.embedding is not None
    shown = SeenFaceOut.of(seen.face, seen.quality)
    return EmbeddedFaceOut(embedding=seen.embedding.tolist(), **dict(shown))


def _contract(bundle: Bundle) -> ContractOut:
    spec = bundle.manifest.embedding
    return ContractOut(
        id=bundle.manifest.contract.id, size=spec.size, space=spec.space, d_max=spec.d_max
    )
