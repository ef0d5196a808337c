"""Admission: a burst may wait, and while others are refused only a few do."""

import pytest

from contract.errors import OverloadedError
from service.admission import CALM_S, Admission


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
