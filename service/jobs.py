"""Long work in the background: one thread of its own, so that it takes no request's worker.

Jobs live in memory: a restart forgets them, what they stored stays.
"""

import logging
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from contract.errors import JobCancelledError, JobNotFoundError, OneGlanceError, OverloadedError
from index.actor import as_present_actor
from index.clock import now

log = logging.getLogger(__name__)

JobStatus = Literal["queued", "running", "succeeded", "failed"]
# What a job leaves behind: a JSON object, or None where it only did something.
JobResult = Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it was at one moment. Times are RFC 3339 in UTC."""

    id: str
    kind: str
    created_at: str
    collection_id: str | None = None
    """Whose it is: only keys that are for it see the job; for None, those for all collections."""
    status: JobStatus = "queued"
    progress: float = 0.0
    """Share of the work that is done, 0 to 1."""
    started_at: str | None = None
    finished_at: str | None = None
    result: JobResult = None
    error: Exception | None = None
    """What a failed job ended by."""

    @property
    def ended(self) -> bool:
        """Nothing about it changes any more."""
        return self.status in ("succeeded", "failed")


class Progress:
    """How a job's work tells how far it is, and hears that it should stop."""

    def __init__(self, note: Callable[[float], None], closing: threading.Event) -> None:
        self._note, self._closing = note, closing

    @property
    def cancelled(self) -> bool:
        """The service is closing: end soon, leave nothing half done."""
        return self._closing.is_set()

    def __call__(self, done: float) -> None:
        """The share `done`, 0 to 1, of the work is done. Raises JobCancelledError if cancelled."""
        if self.cancelled:
            raise JobCancelledError
        self._note(min(max(done, 0.0), 1.0))


Work = Callable[[Progress], JobResult]


class Jobs:
    """One job runs at a time, `queue` more wait, the last `history` that ended are remembered."""

    def __init__(self, *, queue: int, history: int) -> None:
        self._places, self._history = 1 + queue, history
        self._jobs: dict[str, Job] = {}
        self._ended: deque[str] = deque()
        self._waiting: deque[tuple[str, Work]] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        # A daemon: a process that ends without close() must not wait for it.
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._thread.start()

    def submit(
        self, kind: str, work: Work, *, collection_id: str | None = None, alone: bool = False
    ) -> Job:
        """Queue `work`. Raises OverloadedError when all places are taken, or after close().

        collection_id: what it works on. alone: also where another one of its kind has not ended.
        """
        job = Job(id=uuid.uuid4().hex, kind=kind, created_at=now(), collection_id=collection_id)
        with self._changed:
            if self._closing.is_set():
                raise OverloadedError("The service is closing: it takes no more work.")
            if len(self._jobs) - len(self._ended) >= self._places:
                raise OverloadedError("All places for jobs are taken: wait until one has ended.")
            if alone and any(j.kind == kind and not j.ended for j in self._jobs.values()):
                raise OverloadedError(f"Another {kind} is under way: wait until it has ended.")
            self._jobs[job.id] = job
            self._waiting.append((job.id, as_present_actor(work)))
            self._changed.notify_all()
        return job

    def job(self, job_id: str) -> Job:
        """The job as it is now. Raises JobNotFoundError, for one long past, too."""
        with self._changed:
            if job_id not in self._jobs:
                raise JobNotFoundError(job_id)
            return self._jobs[job_id]

    def all(self) -> list[Job]:
        """Those that are remembered, as they are now, oldest first."""
        with self._changed:
            return list(self._jobs.values())

    def wait(self, job_id: str, *, timeout_s: float) -> Job:
        """The job when it has ended, or as it is after `timeout_s` seconds."""
        with self._changed:
            self._changed.wait_for(
                lambda: job_id not in self._jobs or self._jobs[job_id].ended, timeout_s
            )
        return self.job(job_id)

    def close(self) -> None:
        """Stop the running job at its next step, drop the waiting ones, end the thread."""
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
                if self._closing.is_set():
                    break
                job_id, work = self._waiting.popleft()
            self._do(job_id, work)
        while self._waiting:
            self._end(self._waiting.popleft()[0], error=JobCancelledError())

    def _do(self, job_id: str, work: Work) -> None:
        self._change(job_id, status="running", started_at=now())
        progress = Progress(lambda done: self._change(job_id, progress=done), self._closing)
        try:
            result = work(progress)
        except OneGlanceError as error:
            log.info("job %s failed: %s", job_id, error)
            self._end(job_id, error=error)
        # Whatever it is: the next job must run, and who asks for this one must hear of its end.
        except Exception as error:
            log.exception("job %s failed", job_id)
            self._end(job_id, error=error)
        else:
            self._end(job_id, result=result)

    def _end(
        self, job_id: str, *, result: JobResult = None, error: Exception | None = None
    ) -> None:
        with self._changed:
            if error is None:
                self._change(job_id, status="succeeded", progress=1.0, result=result)
            else:
                # Remembered without the frames it came from: they hold all that was worked on.
                error.__cause__ = error.__context__ = error.__traceback__ = None
                self._change(job_id, status="failed", error=error)
            self._change(job_id, finished_at=now())
            self._ended.append(job_id)
            while len(self._ended) > self._history:
                del self._jobs[self._ended.popleft()]

    def _change(self, job_id: str, **changes: Any) -> None:
        with self._changed:
            self._jobs[job_id] = replace(self._jobs[job_id], **changes)
            self._changed.notify_all()
