"""POST /v1/collections/{id}/health-reports."""

import dataclasses
from functools import partial

from fastapi import APIRouter, Request, Response

from index.gallery import Gallery
from index.health.report import health_report
from service.jobs import JobResult, Progress
from service.routes.common import RuntimeDep, collection_of, problems
from service.routes.jobs import accepted
from service.runtime import Runtime
from service.schemas import JobAnswer

KIND = "health_report"

router = APIRouter(prefix="/v1/collections/{collection_id}/health-reports", tags=["health report"])


@router.post("", status_code=202, response_model=JobAnswer, responses=problems(404, 409, 422, 503))
async def report_health(
    collection_id: str, runtime: RuntimeDep, request: Request, response: Response
) -> JobAnswer:
    """Look for what is probably wrong in a collection, in the background.

    The job's result names likely duplicate subjects, templates that look like another subject, and
    templates that are like nobody, each with its similarities. Nothing is changed.
    """
    served = await collection_of(runtime, collection_id)
    job = runtime.jobs.submit(
        KIND, partial(_work, runtime, served.gallery), collection_id=served.id, alone=True
    )
    return accepted(job, request, response)


def _work(runtime: Runtime, gallery: Gallery, progress: Progress) -> JobResult:
    report = health_report(
        gallery,
        max_templates=runtime.settings.max_health_report_templates,
        progress=progress,
    )
    return dataclasses.asdict(report)
