"""The calls about the service itself and its jobs."""

from service.bundle_answer import BundlesOut
from service.client.call import Call, answer
from service.schemas import Health, JobAnswer, Ready


def list_bundles() -> Call[BundlesOut]:
    """The bundles that are served, the default first."""
    return Call(method="GET", path="/v1/bundles", parse=answer(BundlesOut))


def get_job(job_id: str) -> Call[JobAnswer]:
    """How far a job is, and what came of it. `wait_for_job` waits for its end."""
    return Call(
        method="GET", path="/v1/jobs/{job_id}", ids={"job_id": job_id}, parse=answer(JobAnswer)
    )


def healthz() -> Call[Health]:
    """The process answers."""
    return Call(method="GET", path="/healthz", parse=answer(Health))


def readyz() -> Call[Ready]:
    """The model computes and the gallery can be read. ApiError 503 where not."""
    return Call(method="GET", path="/readyz", parse=answer(Ready))
