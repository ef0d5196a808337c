"""GET /v1/jobs/{id}."""

from fastapi import APIRouter, Request, Response

from contract.errors import JobNotFoundError
from service.access.caller import present_caller
from service.jobs import Job
from service.problems import problem_of
from service.request_id import request_id_of
from service.routes.common import RuntimeDep, problems
from service.schemas import JobAnswer, JobOut

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.get("/{job_id}", response_model=JobOut, responses=problems(404, 422))
async def get_job(job_id: str, runtime: RuntimeDep, request: Request) -> JobOut:
    """How far a job is, and what came of it. A restart of the service forgets its jobs."""
    job = runtime.jobs.job(job_id)
    if not present_caller().sees(job.collection_id):
        raise JobNotFoundError(job_id)
    return job_out(job, request_id=request_id_of(request.scope))


def accepted(job: Job, request: Request, response: Response) -> JobAnswer:
    """The answer 202 to a request that became a job; its route declares status_code=202."""
    response.headers["Location"] = path_of(job)
    return JobAnswer(job=job_out(job, request_id=request_id_of(request.scope)))


def job_out(job: Job, *, request_id: str) -> JobOut:
    """A job as JSON; the problem of a failed one bears the id of the request that asks."""
    error = None
    if job.error is not None:
        error = problem_of(job.error, instance=path_of(job), request_id=request_id)
    return JobOut(
        id=job.id,
        kind=job.kind,
        status=job.status,
        progress=job.progress,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        result=None if job.result is None else dict(job.result),
        error=error,
    )


def path_of(job: Job) -> str:
    """Where the job is to be asked for."""
    return f"{router.prefix}/{job.id}"
