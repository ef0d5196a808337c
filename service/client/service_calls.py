"""The calls about the service itself and its jobs."""

from service.bundle_answer import BundleList
from service.client.call import Call, answer
from service.schemas import Health, JobOut, Ready


def list_bundles() -> Call[BundleList]:
    """The bundles that are served, the default first."""
    return Call(method="GET", path="/v1/bundles", parse=answer(BundleList))


def get_job(job_id: str) -> Call[JobOut]:
    """How far a job is, and what came of it. `wait_for_job` waits for its end."""
    return Call(
        method="GET", path="/v1/jobs/{job_id}", ids={"job_id": job_id}, parse=answer(JobOut)
    )


def healthz() -> Call[Health]:
    """The process answers."""
    return Call(method="GET", path="/healthz", parse=answer(Health))


def get_metrics() -> Call[str]:
    """How the service does, in Prometheus' text format."""
    return Call(method="GET", path="/metrics", parse=bytes.decode)


def readyz() -> Call[Ready]:
    """The model computes and the gallery can be read. ApiError 503 where not."""
    return Call(method="GET", path="/readyz", parse=answer(Ready))
