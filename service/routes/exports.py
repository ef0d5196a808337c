"""POST /v1/exports and GET /v1/exports/{id}/file."""

import os
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from contract.errors import ExportNotFoundError
from service.access.caller import present_caller
from service.export_answer import ExportAnswer, NewExport
from service.exports import new_export_id
from service.jobs import JobResult, Progress
from service.routes.common import RuntimeDep, collection_of, problems
from service.routes.jobs import accepted

KIND: Final = "export"
GALLERY_FILE: Final = "application/octet-stream"
_BLOCK_BYTES: Final = 1 << 18

router = APIRouter(prefix="/v1/exports", tags=["export"])


@router.post(
    "",
    status_code=202,
    response_model=ExportAnswer,
    responses=problems(400, 404, 409, 413, 422, 503),
)
async def export_collection(
    wanted: NewExport, runtime: RuntimeDep, request: Request, response: Response
) -> ExportAnswer:
    """Write a collection into a gallery file, in the background.

    When the job has succeeded, `/v1/exports/{export_id}/file` is the file that `oneglance gallery
    import` reads. It holds biometric data of everyone in the collection, also of who is removed
    from it later, until it is removed itself after some hours (24 unless the service is set
    otherwise).
    """
    served = await collection_of(runtime, wanted.collection)
    export_id = new_export_id(served.id)

    def work(progress: Progress) -> JobResult:
        return runtime.exports.write(
            served.gallery, export_id, crops=wanted.crops, progress=progress
        )

    job = runtime.jobs.submit(KIND, work, collection_id=served.id)
    return ExportAnswer(export_id=export_id, job=accepted(job, request, response).job)


@router.get(
    "/{export_id}/file",
    response_class=StreamingResponse,
    responses={
        200: {"description": "The gallery file", "content": {GALLERY_FILE: {}}},
        **problems(404, 422, 503),
    },
)
async def get_export_file(export_id: str, runtime: RuntimeDep) -> StreamingResponse:
    """The gallery file of an export: 404 until its job has succeeded, and when its time is over."""
    if not present_caller().owns(export_id):
        raise ExportNotFoundError(export_id)
    file = await runtime.workers.run(partial(runtime.exports.open, export_id))
    return StreamingResponse(
        _blocks(file),
        media_type=GALLERY_FILE,
        headers={"Content-Length": str(os.fstat(file.fileno()).st_size)},
    )


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK_BYTES):
            yield block
