"""Waiting for a job of the service."""

import time
from typing import TYPE_CHECKING, Final

from service.commands.gallery.common import progress
from service.schemas import JobOut

if TYPE_CHECKING:
    from service.client import Client

FIRST_POLL_S: Final = 0.05
POLL_S: Final = 1.0


def wait(client: "Client", job: JobOut, *, what: str) -> JobOut:
    """The job when it has succeeded, with a progress bar. Raises ApiError if it fails."""
    from service.client.sending import ended

    pause_s = FIRST_POLL_S
    with progress(what, total=100, unit="%") as bar:
        while not ended(job):
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, POLL_S)
            job = client.get_job(job.id)
            bar.update(int(100 * job.progress) - bar.n)
    return job
