"""Admission: a burst may wait, and while others are refused only a few do."""

import heapq
import random

import numpy as np
import pytest

from contract.errors import OverloadedError
from service.admission import CALM_S, Admission
from service.settings import Settings


class Door:
    """An Admission of 2 workers, by a clock that passes when it is told to."""

    def __init__(self, *, waiting: int, waiting_in_overload: int) -> None:
        self.now_s = 0.0
        self.admission = Admission(
            working=2,
            waiting=waiting,
            waiting_in_overload=waiting_in_overload,
            clock=lambda: self.now_s,
        )

    def enter(self, callers: int) -> int:
        """How many of so many were let in."""
        inside = 0
        for _ in range(callers):
            try:
                self.admission.enter()
            except OverloadedError:
                continue
            inside += 1
        return inside

    def leave(self, callers: int) -> None:
        for _ in range(callers):
            self.admission.leave()


def test_a_burst_waits_in_the_whole_line() -> None:
    door = Door(waiting=5, waiting_in_overload=1)
    assert door.enter(7) == 7
    assert door.admission.load() == (2, 5)
    door.leave(7)
    assert door.admission.load() == (0, 0)
    assert door.enter(7) == 7


def test_after_a_refusal_few_wait_until_nobody_was_refused_for_a_while() -> None:
    door = Door(waiting=5, waiting_in_overload=1)
    assert door.enter(8) == 7
    door.leave(4)
    assert door.enter(1) == 0  # Three are inside: two at work and the one that may wait.
    door.leave(1)
    assert door.enter(2) == 1
    door.now_s += CALM_S - 0.1
    door.leave(1)
    assert door.enter(2) == 1  # Refused again, so it takes as long again.
    door.now_s += CALM_S - 0.1
    door.leave(1)
    assert door.enter(1) == 1
    door.now_s += 0.1
    assert door.enter(9) == 4


def test_a_look_counts_as_a_refusal_and_takes_no_place() -> None:
    door = Door(waiting=1, waiting_in_overload=0)
    for _ in range(5):
        door.admission.check()
    assert door.enter(3) == 3
    with pytest.raises(OverloadedError, match="places in the queue") as refused:
        door.admission.check()
    assert refused.value.retry_after_s == 1
    door.leave(1)
    with pytest.raises(OverloadedError):
        door.admission.check()
    door.leave(1)
    door.admission.check()


def test_no_more_wait_in_overload_than_at_any_time() -> None:
    door = Door(waiting=0, waiting_in_overload=4)
    assert door.enter(9) == 2
    door.leave(2)
    assert door.enter(9) == 2


class Queue:
    """Workers behind an Admission, in a time of its own: who comes when, and takes how long."""

    def __init__(self, *, workers: int, seed: int) -> None:
        settings = Settings(worker_threads=workers)
        self._random = random.Random(seed)
        self._workers = workers
        self.now_s = self.busy_s = 0.0
        self._admission = Admission(
            working=workers,
            waiting=settings.queued_requests,
            waiting_in_overload=settings.queued_requests_in_overload,
            clock=lambda: self.now_s,
        )
        self._free = [0.0] * workers
        self._ends: list[float] = []

    def come(self, at_s: float) -> tuple[float, float] | None:
        """When it is answered and how long its work took; None where it is refused."""
        self.now_s = at_s
        while self._ends and self._ends[0] <= at_s:
            heapq.heappop(self._ends)
            self._admission.leave()
        try:
            self._admission.enter()
        except OverloadedError:
            return None
        work_s = 0.035 * self._random.lognormvariate(0, 0.1)
        ends_s = max(at_s, heapq.heappop(self._free)) + work_s
        heapq.heappush(self._free, ends_s)
        heapq.heappush(self._ends, ends_s)
        self.busy_s += work_s
        return ends_s, work_s


@pytest.mark.parametrize(("workers", "times"), [(2, 1.2), (2, 5.0), (16, 5.0)])
def test_in_overload_who_is_taken_is_quick_and_the_workers_stay_busy(
    workers: int, times: float
) -> None:
    queue, choose = Queue(workers=workers, seed=0), random.Random(1)
    at_s, took, work = 0.0, [], []
    while at_s < 120:
        at_s += choose.expovariate(times * workers / 0.035)
        found = queue.come(at_s)
        # The first line is a burst like any other, and waits.
        if found is not None and at_s > 20:
            took.append(found[0] - at_s)
            work.append(found[1])
    assert np.percentile(took, 99) < 2 * np.percentile(work, 99)
    assert queue.busy_s > 0.8 * workers * at_s


def test_callers_that_wait_for_their_answers_are_all_taken() -> None:
    queue = Queue(workers=2, seed=0)
    callers = [0.0] * 16
    answers = 0
    while (at_s := heapq.heappop(callers)) < 60:
        found = queue.come(at_s)
        assert found is not None
        heapq.heappush(callers, found[0])
        answers += 1
    assert answers > 1.9 * 60 / 0.036
