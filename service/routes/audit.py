"""GET /v1/audit."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from index.audit_log import audit_page
from service.audit_answer import AuditEntryOut, AuditHeadOut, AuditList
from service.request_error import RequestError
from service.routes.common import RuntimeDep, problems

router = APIRouter(tags=["audit"])


@router.get("/v1/audit", response_model=AuditList, responses=problems(422, 503))
async def list_audit(
    runtime: RuntimeDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> AuditList:
    """What was done to all collections and keys, and by which key, oldest first, a page at a time.

    Each entry holds the hash of the one before, so what was changed or left out shows.
    """
    try:
        page = await runtime.workers.run(
            partial(audit_page, runtime.galleries, limit=limit, after=cursor)
        )
    except ValueError as error:
        raise RequestError(
            "cursor", "cursor must be the next_cursor of the page before."
        ) from error
    return AuditList(
        entries=[AuditEntryOut.of(entry) for entry in page.entries],
        next_cursor=page.next_after,
        head=AuditHeadOut.of(page.head),
    )
