"""What all routes share: the runtime, documented problems, and reading uploads."""

from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Query, Request, UploadFile

from service.collections import ServedCollection
from service.enrolment import Upload
from service.runtime import Runtime
from service.schemas import BundleRef, Problem
from service.served_bundles import ServedBundle


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(_runtime)]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's answers for these statuses: problem+json all."""
    content = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {status: {"description": "Problem", "content": content} for status in statuses}


# Of requests that are about one collection, as form field or query parameter.
COLLECTION = "id of the collection; the service's own unless given"
CollectionQuery = Annotated[str | None, Query(description=COLLECTION)]


def bundle_ref(served: ServedBundle) -> BundleRef:
    """The bundle that an answer's embeddings were made by."""
    return BundleRef(id=served.id, sha256=served.bundle.sha256)


async def collection_of(runtime: Runtime, collection_id: str | None) -> ServedCollection:
    """The collection that a request is about, looked up in a worker thread.

    Raises what Collections.of raises.
    """
    if collection_id is None:
        return runtime.default
    return await runtime.workers.run(partial(runtime.collections.of, collection_id))


async def read_upload(upload: UploadFile) -> Upload:
    """The bytes of one uploaded file; the body limit has bounded them."""
    return Upload(filename=upload.filename, data=await upload.read())
