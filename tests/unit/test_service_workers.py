"""Workers: as many at a time as there are places, and no place is ever lost."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from contract.errors import OverloadedError
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


@pytest.fixture
def jobs() -> Iterator[list[Job]]:
    made = [Job() for _ in range(6)]
    yield made
    for job in made:
        job.go.set()


async def wait_for(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, WAIT_S)


def test_a_call_runs_in_a_thread_of_its_own_and_answers() -> None:
    workers = Workers(threads=1, queue=0)
    name = asyncio.run(workers.run(lambda: threading.current_thread().name))
    assert name.startswith("oneglance")
    workers.close()


def test_threads_run_and_queue_waits_and_the_next_is_refused(jobs: list[Job]) -> None:
    workers = Workers(threads=2, queue=1)

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
    workers = Workers(threads=1, queue=0)

    def fail() -> None:
        raise KeyError("inside")

    for _ in range(3):
        with pytest.raises(KeyError, match="inside"):
            asyncio.run(workers.run(fail))
    assert asyncio.run(workers.run(lambda: 7)) == 7
    workers.close()


def test_work_for_a_client_that_left_keeps_its_place_until_it_is_done(jobs: list[Job]) -> None:
    workers = Workers(threads=1, queue=0)

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
    workers = Workers(threads=1, queue=1)

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
    workers = Workers(threads=1, queue=1)

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
