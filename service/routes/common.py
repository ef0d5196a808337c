"""What all routes share: the runtime, documented problems, and reading uploads."""

from typing import Annotated, Any

from fastapi import Depends, Request, UploadFile

from contract.errors import CollectionNotFoundError
from service.enrolment import Upload
from service.runtime import Runtime
from service.schemas import BundleRef, Problem


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(_runtime)]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's answers for these statuses: problem+json all."""
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {status: {"description": "Problem", "content": content} for status in statuses}


def bundle_ref(runtime: Runtime) -> BundleRef:
    """The bundle of this service."""
    manifest = runtime.bundle.manifest
    return BundleRef(id=f"{manifest.name}@{manifest.version}", sha256=runtime.bundle.sha256)


def check_collection(runtime: Runtime, collection_id: str) -> None:
    """Raises CollectionNotFoundError: this service serves one collection."""
    if collection_id != runtime.gallery.collection_id:
        raise CollectionNotFoundError(collection_id)


async def read_upload(upload: UploadFile) -> Upload:
    """The bytes of one uploaded file; the body limit has bounded them."""
    return Upload(filename=upload.filename, data=await upload.read())
