"""What all routes share: the runtime, documented problems, and reading uploads."""

import functools
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Annotated, Any, Final, ParamSpec, TypeVar

from fastapi import Depends, Query, Request, UploadFile

from contract.errors import SwitchedMeanwhileError
from service.access.caller import present_caller
from service.collections import ServedCollection
from service.enrolment import Upload
from service.runtime import Runtime
from service.schemas import BundleRef, Problem
from service.served_bundles import ServedBundle

# Forth and back while one request is under way; beyond that it is told to come again.
_SWITCHES: Final = 5

P = ParamSpec("P")
T = TypeVar("T")


async def _runtime(request: Request) -> Runtime:
    # A plain function would be sent to a thread and waited for, at every request.
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(_runtime)]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's answers for these statuses: problem+json all."""
    # By reference, as answers that hold a problem do: a made client has one class of it.
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    content = {"application/problem+json": {"schema": schema}}
    return {status: {"description": "Problem", "content": content} for status in statuses}


# Of requests that are about one collection, as form field or query parameter.
COLLECTION = "id of the collection; the service's own unless given"
CollectionQuery = Annotated[str | None, Query(description=COLLECTION)]


def bundle_ref(served: ServedBundle) -> BundleRef:
    """The bundle that an answer's embeddings were made by."""
    return BundleRef(id=served.id, sha256=served.bundle.sha256)


async def collection_of(runtime: Runtime, collection_id: str | None) -> ServedCollection:
    """The collection that a request is about, looked up in a worker thread.

    Raises CollectionForbiddenError, or what Collections.of raises.
    """
    named = runtime.collections.default_id if collection_id is None else collection_id
    present_caller().check_collection(named)
    if collection_id is None and not runtime.collections.shared:
        # Nobody else can have switched it, so there is nothing to look up.
        return runtime.default
    return await runtime.workers.run(partial(runtime.collections.of, collection_id))


def again_if_switched(
    route: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Decorates what looks a collection up in a Runtime that it is given, and answers for it.

    Where the collection is switched to another bundle in between, it runs anew, so that nobody
    hears of the switch.
    """

    @functools.wraps(route)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(_SWITCHES):
            try:
                return await route(*args, **kwargs)
            except SwitchedMeanwhileError:
                (runtime,) = (a for a in (*args, *kwargs.values()) if isinstance(a, Runtime))
                await runtime.workers.run(runtime.collections.settle)
        return await route(*args, **kwargs)

    return run


async def read_upload(upload: UploadFile) -> Upload:
    """The bytes of one uploaded file; the body limit has bounded them."""
    # A route that runs anew reads it anew.
    await upload.seek(0)
    return Upload(filename=upload.filename, data=await upload.read())
