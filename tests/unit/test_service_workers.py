"""Workers: as many at a time as there are places, and no place is ever lost."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from contract.errors import CallerGoneError, DeadlineExceededError, OverloadedError
from service.turn import Turn, present_turn, taking
from service.workers import Workers

WAIT_S = 30.0


class Job:
    """A call that runs until it is let go."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.go = threading.Event()
        self.thread = ""

    def __call__(self) -> str:
        self.thread = threading.current_thread().name
        self.started.set()
        assert self.go.wait(WAIT_S)
        return "done"


def make_workers(*, threads: int, queue: int, deadline_s: float = WAIT_S) -> Workers:
    """A queue that overload does not make shorter: that is Admission's, and tested there."""
    return Workers(threads=threads, queue=queue, queue_in_overload=queue, deadline_s=deadline_s)


@pytest.fixture
def jobs() -> Iterator[list[Job]]:
    made = [Job() for _ in range(6)]
    yield made
    for job in made:
        job.go.set()


async def wait_for(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, WAIT_S)


def test_a_call_runs_in_a_thread_of_its_own_and_answers() -> None:
    workers = make_workers(threads=1, queue=0)
    name = asyncio.run(workers.run(lambda: threading.current_thread().name))
    assert name.startswith("oneglance")
    workers.close()


def test_threads_run_and_queue_waits_and_the_next_is_refused(jobs: list[Job]) -> None:
    workers = make_workers(threads=2, queue=1)

    async def story() -> None:
        running = [asyncio.create_task(workers.run(job)) for job in jobs[:3]]
        for job in jobs[:2]:
            await wait_for(job.started)
        assert not jobs[2].started.is_set()
        with pytest.raises(OverloadedError) as refused:
            await workers.run(jobs[3])
        assert refused.value.retry_after_s == 1
        assert not jobs[3].started.is_set()
        jobs[0].go.set()
        assert await running[0] == "done"
        await wait_for(jobs[2].started)  # The waiting one has moved up: one place is free.
        running.append(asyncio.create_task(workers.run(jobs[4])))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await workers.run(jobs[5])
        for job in jobs:
            job.go.set()
        assert await asyncio.gather(*running[1:]) == ["done"] * 3

    asyncio.run(story())
    workers.close()


def test_an_exception_comes_out_and_gives_the_place_back() -> None:
    workers = make_workers(threads=1, queue=0)

    def fail() -> None:
        raise KeyError("inside")

    for _ in range(3):
        with pytest.raises(KeyError, match="inside"):
            asyncio.run(workers.run(fail))
    assert asyncio.run(workers.run(lambda: 7)) == 7
    workers.close()


def test_work_for_a_client_that_left_keeps_its_place_until_it_is_done(jobs: list[Job]) -> None:
    workers = make_workers(threads=1, queue=0)

    async def story() -> None:
        left = asyncio.create_task(workers.run(jobs[0]))
        await wait_for(jobs[0].started)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        with pytest.raises(OverloadedError):
            await workers.run(jobs[1])
        jobs[0].go.set()
        assert await until_taken(workers) == 7

    asyncio.run(story())
    workers.close()


def test_a_waiting_call_of_a_client_that_left_is_dropped(jobs: list[Job]) -> None:
    workers = make_workers(threads=1, queue=1)

    async def story() -> None:
        running = asyncio.create_task(workers.run(jobs[0]))
        await wait_for(jobs[0].started)
        left = asyncio.create_task(workers.run(jobs[1]))
        await asyncio.sleep(0)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        waiting = asyncio.create_task(workers.run(jobs[2]))  # Its place is free at once.
        await asyncio.sleep(0)
        assert not waiting.done()
        jobs[0].go.set()
        jobs[2].go.set()
        assert [await running, await waiting] == ["done", "done"]
        assert not jobs[1].started.is_set()

    asyncio.run(story())
    workers.close()


def test_close_waits_for_what_was_accepted(jobs: list[Job]) -> None:
    workers = make_workers(threads=1, queue=1)

    async def story() -> list[str]:
        accepted = [asyncio.create_task(workers.run(job)) for job in jobs[:2]]
        await wait_for(jobs[0].started)
        closing = asyncio.create_task(asyncio.to_thread(workers.close))
        await asyncio.sleep(0.05)
        assert not closing.done()
        jobs[0].go.set()
        jobs[1].go.set()
        await closing
        return list(await asyncio.gather(*accepted))

    assert asyncio.run(story()) == ["done", "done"]
    with pytest.raises(RuntimeError, match="shutdown"):
        asyncio.run(workers.run(lambda: 7))


async def until_taken(workers: Workers) -> int:
    """Try again until there is a place, as a client would."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            return await workers.run(lambda: 7)
        except OverloadedError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)


def test_a_call_whose_turn_comes_too_late_is_not_begun(jobs: list[Job]) -> None:
    workers = make_workers(threads=1, queue=1, deadline_s=0.05)

    async def story() -> None:
        running = asyncio.create_task(workers.run(jobs[0]))
        await wait_for(jobs[0].started)
        # Answered while the worker is still busy, hence without waiting for it.
        with pytest.raises(DeadlineExceededError, match=r"0\.05 seconds"):
            await workers.run(jobs[1])
        assert workers.load() == (1, 0)
        jobs[0].go.set()
        assert await running == "done"
        assert not jobs[1].started.is_set()

    asyncio.run(story())
    workers.close()


def test_what_was_begun_in_time_is_done_after_the_deadline(jobs: list[Job]) -> None:
    workers = make_workers(threads=1, queue=0, deadline_s=0.01)

    async def story() -> str:
        running = asyncio.create_task(workers.run(jobs[0]))
        await wait_for(jobs[0].started)
        await asyncio.sleep(0.05)
        jobs[0].go.set()
        return await running

    assert asyncio.run(story()) == "done"
    workers.close()


def test_all_calls_of_a_request_share_one_deadline() -> None:
    workers = make_workers(threads=1, queue=0, deadline_s=0.02)

    async def story() -> None:
        with taking(Turn()):
            assert await workers.run(lambda: 7) == 7
            await asyncio.sleep(0.05)
            with pytest.raises(DeadlineExceededError):
                await workers.run(lambda: 7)
        assert await workers.run(lambda: 8) == 8  # Of another request.

    asyncio.run(story())
    workers.close()


def test_a_caller_that_leaves_frees_its_place_unless_its_work_has_begun(jobs: list[Job]) -> None:
    workers = make_workers(threads=1, queue=1)
    first, second = Turn(), Turn()

    async def of(turn: Turn, job: Job) -> str:
        with taking(turn):
            return await workers.run(job)

    async def story() -> None:
        running = asyncio.create_task(of(first, jobs[0]))
        await wait_for(jobs[0].started)
        waiting = asyncio.create_task(of(second, jobs[1]))
        await asyncio.sleep(0)
        assert workers.load() == (1, 1)
        first.leave()
        second.leave()
        with pytest.raises(CallerGoneError):
            await waiting
        assert workers.load() == (1, 0)
        assert not running.done()
        jobs[0].go.set()
        assert await running == "done"
        with pytest.raises(CallerGoneError):
            await of(second, jobs[2])
        assert not jobs[1].started.is_set()
        assert not jobs[2].started.is_set()

    asyncio.run(story())
    workers.close()


def test_a_worker_knows_whose_turn_it_is_and_forgets_it() -> None:
    workers = make_workers(threads=1, queue=0)
    turn = Turn()

    async def story() -> None:
        with taking(turn):
            assert await workers.run(present_turn) is turn
        other = await workers.run(present_turn)
        assert other is not None
        assert other is not turn
        assert present_turn() is None

    asyncio.run(story())
    workers.close()
