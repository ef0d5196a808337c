"""/v1/collections."""

from functools import partial

from fastapi import APIRouter, Response

from service.access.caller import present_caller
from service.collection_answer import CollectionList, CollectionOut, NewCollection
from service.collections import ListedCollection
from service.request_error import RequestError
from service.routes.common import RuntimeDep, bundle_ref, problems
from service.runtime import Runtime

router = APIRouter(prefix="/v1/collections", tags=["collections"])


@router.get("", response_model=CollectionList, responses=problems(503))
async def list_collections(runtime: RuntimeDep) -> CollectionList:
    """Every collection of the gallery that the key is for, those of bundles that are not served
    now included."""
    found = await runtime.workers.run(runtime.collections.all)
    caller = present_caller()
    return CollectionList(
        collections=[_shown(runtime, listed) for listed in found if caller.sees(listed.stored.id)]
    )


@router.post(
    "",
    status_code=201,
    response_model=CollectionOut,
    responses=problems(400, 404, 409, 413, 422, 503, 507),
)
async def create_collection(wanted: NewCollection, runtime: RuntimeDep) -> CollectionOut:
    """Make an empty collection of one of the served bundles; it stays bound to it."""
    present_caller().check_collection(wanted.id)
    bundle = runtime.bundles.default
    if wanted.bundle is not None:
        bundle = runtime.bundles.named(wanted.bundle)
    try:
        await runtime.workers.run(partial(runtime.collections.create, wanted.id, bundle))
    except ValueError as error:
        raise RequestError("id", str(error)) from error
    return await get_collection(wanted.id, runtime)


@router.get("/{collection_id}", response_model=CollectionOut, responses=problems(404, 422, 503))
async def get_collection(collection_id: str, runtime: RuntimeDep) -> CollectionOut:
    """One collection."""
    listed = await runtime.workers.run(partial(runtime.collections.listed, collection_id))
    return _shown(runtime, listed)


@router.delete(
    "/{collection_id}",
    status_code=204,
    response_class=Response,
    responses=problems(404, 409, 422, 503, 507),
)
async def delete_collection(collection_id: str, runtime: RuntimeDep) -> None:
    """Remove a collection with all its subjects and templates.

    Not the one that the service was started for: that is 409.
    """
    await runtime.workers.run(partial(runtime.collections.remove, collection_id))


def _shown(runtime: Runtime, listed: ListedCollection) -> CollectionOut:
    stored = listed.stored
    return CollectionOut(
        id=stored.id,
        bundle=None if listed.bundle is None else bundle_ref(listed.bundle),
        contract_id=listed.contract_id,
        secret_id=listed.secret_id,
        subject_count=stored.subject_count,
        template_count=stored.template_count,
        gallery_revision=stored.revision,
        created_at=stored.created_at,
        default=stored.id == runtime.collections.default_id,
    )
