"""GET and DELETE of /v1/subjects."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from service.request_error import RequestError
from service.routes.common import RuntimeDep, problems
from service.schemas import SubjectList, SubjectOut

router = APIRouter(prefix="/v1/subjects", tags=["subjects"])


@router.get("", response_model=SubjectList, responses=problems(422, 503))
async def list_subjects(
    runtime: RuntimeDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> SubjectList:
    """Subjects in the order of their creation, a page at a time."""
    try:
        page = await runtime.workers.run(
            partial(runtime.gallery.subjects, limit=limit, after=cursor)
        )
    except ValueError as error:
        raise RequestError(
            "cursor", "cursor must be the next_cursor of the page before."
        ) from error
    return SubjectList(
        subjects=[SubjectOut.of(subject) for subject in page.subjects],
        next_cursor=page.next_after,
    )


@router.get("/{subject_id}", response_model=SubjectOut, responses=problems(404, 422, 503))
async def get_subject(subject_id: str, runtime: RuntimeDep) -> SubjectOut:
    """One subject."""
    subject = await runtime.workers.run(partial(runtime.gallery.subject, subject_id))
    return SubjectOut.of(subject)


@router.delete("/{subject_id}", status_code=204, responses=problems(404, 422, 503, 507))
async def delete_subject(subject_id: str, runtime: RuntimeDep) -> None:
    """Remove a subject with all its templates; searches stop finding it before the answer."""
    await runtime.workers.run(partial(runtime.gallery.remove_subject, subject_id))
