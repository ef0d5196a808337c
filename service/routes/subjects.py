"""GET, PATCH and DELETE of /v1/subjects, and merging."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response

from index.erasure import erasure_of
from service.erasure_answer import ErasureReport
from service.erasure_report import erasure_report
from service.request_error import RequestError
from service.routes.common import (
    CollectionQuery,
    RuntimeDep,
    again_if_switched,
    collection_of,
    problems,
)
from service.schemas import SubjectList, SubjectOut
from service.subject_change import MergeWish, SubjectPatch, change_subject, merge_subjects
from service.template_answer import TemplateList, TemplateOut

router = APIRouter(prefix="/v1/subjects", tags=["subjects"])


@router.get("", response_model=SubjectList, responses=problems(404, 409, 422, 503))
async def list_subjects(
    runtime: RuntimeDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
    name: Annotated[str | None, Query(description="only those of exactly this name")] = None,
    external_id: Annotated[str | None, Query(description="only the one of this id")] = None,
    collection: CollectionQuery = None,
) -> SubjectList:
    """Subjects in the order of their creation, a page at a time."""
    served = await collection_of(runtime, collection)
    try:
        page = await runtime.workers.run(
            partial(
                served.gallery.subjects,
                limit=limit,
                after=cursor,
                name=name,
                external_id=external_id,
            )
        )
    except ValueError as error:
        raise RequestError(
            "cursor", "cursor must be the next_cursor of the page before."
        ) from error
    return SubjectList(
        subjects=[SubjectOut.of(subject) for subject in page.subjects],
        next_cursor=page.next_after,
    )


@router.get("/{subject_id}", response_model=SubjectOut, responses=problems(404, 409, 422, 503))
async def get_subject(
    subject_id: str, runtime: RuntimeDep, collection: CollectionQuery = None
) -> SubjectOut:
    """One subject."""
    served = await collection_of(runtime, collection)
    subject = await runtime.workers.run(partial(served.gallery.subject, subject_id))
    return SubjectOut.of(subject)


@router.patch(
    "/{subject_id}",
    response_model=SubjectOut,
    responses=problems(400, 404, 409, 413, 422, 503, 507),
)
@again_if_switched
async def update_subject(
    subject_id: str, patch: SubjectPatch, runtime: RuntimeDep, collection: CollectionQuery = None
) -> SubjectOut:
    """Change what is known of a subject: what is not given stays, null takes a fact away.

    `metadata` is replaced as a whole. 409 when the external id is another subject's.
    """
    served = await collection_of(runtime, collection)
    subject = await runtime.workers.run(
        partial(change_subject, served.gallery, subject_id, patch.given)
    )
    return SubjectOut.of(subject)


@router.post(
    "/{subject_id}/merge",
    response_model=SubjectOut,
    responses=problems(400, 404, 409, 413, 422, 503, 507),
)
@again_if_switched
async def merge_subject(
    subject_id: str, wish: MergeWish, runtime: RuntimeDep, collection: CollectionQuery = None
) -> SubjectOut:
    """Give all templates of this subject to another one, and remove this one; the other one.

    Where both say something, the other one's facts stay, except that the earlier `expires_at`
    counts: what was agreed to until then is not kept longer. This cannot be undone.
    """
    served = await collection_of(runtime, collection)
    subject = await runtime.workers.run(
        partial(merge_subjects, served.gallery, subject_id, into=wish.into)
    )
    return SubjectOut.of(subject)


@router.get(
    "/{subject_id}/templates",
    response_model=TemplateList,
    responses=problems(404, 409, 422, 503),
)
async def list_templates(
    subject_id: str, runtime: RuntimeDep, collection: CollectionQuery = None
) -> TemplateList:
    """The templates of a subject, oldest first, without their embeddings."""
    served = await collection_of(runtime, collection)
    found = await runtime.workers.run(partial(served.gallery.templates, subject_id))
    return TemplateList(templates=[TemplateOut.of(template) for template in found])


@router.get(
    "/{subject_id}/erasure",
    response_model=ErasureReport,
    responses=problems(404, 409, 422, 503),
)
async def get_erasure(
    subject_id: str, runtime: RuntimeDep, collection: CollectionQuery = None
) -> ErasureReport:
    """What became of a subject that was removed: what was erased where, and what may still be.

    For the person who asked for it. Of the last removal of that id, at any later time.
    """
    served = await collection_of(runtime, collection)
    erasure = await runtime.workers.run(partial(erasure_of, served.gallery, subject_id))
    return erasure_report(erasure, runtime.settings)


@router.delete(
    "/{subject_id}",
    status_code=204,
    response_class=Response,
    responses=problems(404, 409, 422, 503, 507),
)
@again_if_switched
async def delete_subject(
    subject_id: str, runtime: RuntimeDep, collection: CollectionQuery = None
) -> None:
    """Remove a subject with all its templates; searches stop finding it before the answer."""
    served = await collection_of(runtime, collection)
    await runtime.workers.run(partial(served.gallery.remove_subject, subject_id))
