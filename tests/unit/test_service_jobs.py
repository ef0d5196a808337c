"""Jobs: one at a time, in order, bounded, never lost silently; and as the API shows them."""

import logging
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from contract.errors import (
    CollectionNotFoundError,
    JobCancelledError,
    JobNotFoundError,
    OverloadedError,
)
from service.jobs import Job, JobResult, Jobs, Progress
from tests.conftest import Api, check_problem

WAIT_S = 30.0


class Gate:
    """Work that runs until it is let go."""

    def __init__(self, result: JobResult = None) -> None:
        self.started, self.go = threading.Event(), threading.Event()
        self.result = result
        self.thread = ""
        self.stopped = False

    def __call__(self, progress: Progress) -> JobResult:
        self.thread = threading.current_thread().name
        progress(0.25)
        self.started.set()
        assert self.go.wait(WAIT_S)
        self.stopped = progress.cancelled
        progress(0.75)
        return self.result


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate({"n": 1})
    yield made
    made.go.set()


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs(queue=2, history=3)
    yield made
    made.close()


def nothing(_: Progress) -> JobResult:
    return None


def ended(jobs: Jobs, job: Job) -> Job:
    now = jobs.wait(job.id, timeout_s=WAIT_S)
    assert now.ended
    return now


def test_a_job_goes_from_queued_over_running_to_succeeded(jobs: Jobs, gate: Gate) -> None:
    job = jobs.submit("count", gate)
    assert (job.status, job.progress, job.kind) == ("queued", 0, "count")
    assert gate.started.wait(WAIT_S)
    running = jobs.job(job.id)
    assert (running.status, running.progress, running.result) == ("running", 0.25, None)
    assert running.started_at is not None
    assert running.finished_at is None
    gate.go.set()
    done = ended(jobs, job)
    assert (done.status, done.progress, done.result, done.error) == ("succeeded", 1, {"n": 1}, None)
    assert done.finished_at is not None
    assert job.created_at <= running.started_at <= done.finished_at
    assert gate.thread == "jobs"


def test_jobs_run_one_after_the_other_in_order(jobs: Jobs, gate: Gate) -> None:
    order: list[int] = []
    first = jobs.submit("a", gate)
    rest = [jobs.submit("b", lambda _, i=i: order.append(i)) for i in range(2)]  # type: ignore[misc]
    assert gate.started.wait(WAIT_S)
    assert [jobs.job(job.id).status for job in (first, *rest)] == ["running", "queued", "queued"]
    gate.go.set()
    assert [ended(jobs, job).status for job in rest] == ["succeeded"] * 2
    assert order == [0, 1]


def test_a_full_queue_refuses_and_has_room_again(jobs: Jobs, gate: Gate) -> None:
    taken = [jobs.submit("a", gate), jobs.submit("b", nothing), jobs.submit("c", nothing)]
    with pytest.raises(OverloadedError, match="places for jobs"):
        jobs.submit("d", nothing)
    gate.go.set()
    for job in taken:
        ended(jobs, job)
    assert ended(jobs, jobs.submit("d", nothing)).status == "succeeded"


def test_only_the_last_that_ended_are_remembered(jobs: Jobs) -> None:
    made = [jobs.submit("a", nothing) for _ in range(1)]
    ended(jobs, made[0])
    for _ in range(4):
        made.append(jobs.submit("a", nothing))
        ended(jobs, made[-1])
    for old in made[:2]:
        with pytest.raises(JobNotFoundError, match=old.id):
            jobs.job(old.id)
    assert all(jobs.job(job.id).ended for job in made[2:])


def test_a_failure_ends_its_own_job_only(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    def domain(_: Progress) -> JobResult:
        raise CollectionNotFoundError("x")

    def accident(_: Progress) -> JobResult:
        raise ZeroDivisionError("inside")

    with caplog.at_level(logging.ERROR, "service.jobs"):
        failed = [ended(jobs, jobs.submit("a", work)) for work in (domain, accident)]
    assert [type(job.error) for job in failed] == [CollectionNotFoundError, ZeroDivisionError]
    assert all(job.status == "failed" and job.result is None for job in failed)
    (record,) = [r for r in caplog.records if r.name == "service.jobs"]
    assert failed[1].id in record.getMessage()
    assert ended(jobs, jobs.submit("a", nothing)).status == "succeeded"


def test_a_remembered_failure_holds_on_to_nothing_it_worked_on(jobs: Jobs) -> None:
    held: list[weakref.ref[np.ndarray]] = []

    def accident(_: Progress) -> JobResult:
        work = np.zeros(3)
        held.append(weakref.ref(work))
        try:
            raise KeyError(work.size)
        except KeyError as error:
            raise CollectionNotFoundError("x") from error

    failed = ended(jobs, jobs.submit("a", accident))
    ended(jobs, jobs.submit("a", nothing))
    assert isinstance(failed.error, CollectionNotFoundError)
    assert held[0]() is None


@pytest.mark.parametrize(("told", "shown"), [(-1.0, 0.0), (0.5, 0.5), (7.0, 1.0)])
def test_progress_stays_a_share(jobs: Jobs, gate: Gate, told: float, shown: float) -> None:
    def work(progress: Progress) -> JobResult:
        progress(told)
        gate.started.set()
        assert gate.go.wait(WAIT_S)
        return None

    job = jobs.submit("a", work)
    assert gate.started.wait(WAIT_S)
    assert jobs.job(job.id).progress == shown


def test_close_stops_the_running_job_at_its_next_step_and_drops_the_rest(gate: Gate) -> None:
    jobs = Jobs(queue=2, history=3)
    running, waiting = jobs.submit("a", gate), jobs.submit("b", nothing)
    assert gate.started.wait(WAIT_S)
    closing = threading.Thread(target=jobs.close)
    closing.start()
    while not jobs._closing.is_set():
        pass
    with pytest.raises(OverloadedError, match="closing"):
        jobs.submit("c", nothing)
    gate.go.set()
    closing.join(WAIT_S)
    assert not closing.is_alive()
    assert gate.stopped
    for job in (running, waiting):
        assert isinstance(jobs.job(job.id).error, JobCancelledError)
    jobs.close()


def test_wait_gives_up_in_time(jobs: Jobs, gate: Gate) -> None:
    job = jobs.submit("a", gate)
    assert not jobs.wait(job.id, timeout_s=0.01).ended


def test_the_api_shows_a_job(api: Api, gate: Gate) -> None:
    job = api.runtime.jobs.submit("count", gate)
    assert gate.started.wait(WAIT_S)
    shown = api.get(f"/v1/jobs/{job.id}").json()
    assert shown == {
        "id": job.id,
        "kind": "count",
        "status": "running",
        "progress": 0.25,
        "created_at": job.created_at,
        "started_at": shown["started_at"],
        "finished_at": None,
        "result": None,
        "error": None,
    }
    gate.go.set()
    ended(api.runtime.jobs, job)
    assert api.get(f"/v1/jobs/{job.id}").json()["result"] == {"n": 1}


def test_the_api_shows_a_failure_as_a_problem(api: Api) -> None:
    def domain(_: Progress) -> JobResult:
        raise CollectionNotFoundError("x")

    def accident(_: Progress) -> JobResult:
        raise ZeroDivisionError("a secret of the house")

    jobs: Jobs = api.runtime.jobs
    failed = [ended(jobs, jobs.submit("a", work)) for work in (domain, accident)]
    answers = [api.get(f"/v1/jobs/{job.id}") for job in failed]
    problems = [answer.json()["error"] for answer in answers]
    assert [(p["status"], p["code"]) for p in problems] == [
        (404, "collection_not_found"),
        (500, "internal_error"),
    ]
    assert "'x'" in problems[0]["detail"]
    assert problems[0]["instance"] == f"/v1/jobs/{failed[0].id}"
    assert problems[0]["request_id"] == answers[0].headers["x-request-id"]
    assert "secret" not in answers[1].text


def test_an_unknown_job_is_a_problem(api: Api) -> None:
    check_problem(api.get("/v1/jobs/nobody"), 404, "job_not_found")
