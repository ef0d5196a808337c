"""/v1/collections/{id}/rekey: another secret for the same templates."""

import dataclasses
from functools import partial
from typing import Final

from fastapi import APIRouter, Request, Response

from index.rekeying import check_can_rekey
from service.jobs import JobResult, Progress
from service.rekey_answer import NewRekeying
from service.rekeying import rekey as rekey_collection
from service.routes.common import RuntimeDep, collection_of, problems
from service.routes.jobs import accepted
from service.runtime import Runtime
from service.schemas import JobAnswer

KIND: Final = "rekeying"
_SALT_ONLY: Final = NewRekeying(new_secret=False, new_row_key=False)

router = APIRouter(prefix="/v1/collections/{collection_id}/rekey", tags=["collections"])


@router.post(
    "",
    status_code=202,
    response_model=JobAnswer,
    responses=problems(400, 404, 409, 413, 422, 503, 507),
)
async def rekey(
    collection_id: str,
    runtime: RuntimeDep,
    request: Request,
    response: Response,
    wanted: NewRekeying = _SALT_ONLY,
) -> JobAnswer:
    """Turn a collection's templates by another rotation, in the background, and remove the former.

    Where rows are encrypted, all of them are by the newest key then, pictures included.
    Answers stay what they are; enrolments go on. A collection that was not protected is from then
    on. The job's result has the id of the secret, and of the former one, which is no longer needed
    unless `former_in_use`. If the service ends in between, send the same again without new ones.
    """
    served = await collection_of(runtime, collection_id)
    await runtime.workers.run(partial(check_can_rekey, served.gallery))
    work = partial(_work, runtime, served.id, wanted)
    job = runtime.jobs.submit(KIND, work, collection_id=served.id, alone=True)
    return accepted(job, request, response)


def _work(
    runtime: Runtime, collection_id: str, wanted: NewRekeying, progress: Progress
) -> JobResult:
    done = rekey_collection(
        runtime.collections,
        collection_id,
        new_secret=wanted.new_secret,
        new_row_key=wanted.new_row_key,
        progress=progress,
    )
    return dataclasses.asdict(done)
