"""A turn: its time begins once, and what waits hears when it is over."""

import pytest

from contract.errors import CallerGoneError, DeadlineExceededError
from service.turn import Turn, in_turn, present_turn


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_time_begins_with_the_first_work_and_not_again() -> None:
    clock = Clock()
    turn = Turn(clock=clock)
    clock.now_s += 1_000
    turn.check()
    assert turn.start(30) == 30
    clock.now_s += 20
    assert turn.start(30) == 10
    turn.check()
    clock.now_s += 10
    with pytest.raises(DeadlineExceededError, match="waited 30 seconds") as late:
        turn.check()
    assert late.value.deadline_s == 30
    assert late.value.retry_after_s == 1


def test_expired_it_is_over_whatever_the_clock_says() -> None:
    turn = Turn(clock=Clock())
    turn.start(30)
    turn.expire()
    with pytest.raises(DeadlineExceededError):
        turn.check()


def test_what_waits_is_stopped_and_what_waits_no_more_is_not() -> None:
    turn = Turn()
    stopped: list[str] = []
    with turn.waiting(lambda: stopped.append("before")):
        pass
    with turn.waiting(lambda: stopped.append("one")), turn.waiting(lambda: stopped.append("two")):
        turn.leave()
    assert stopped == ["one", "two"]


def test_a_call_is_not_begun_when_its_turn_is_over() -> None:
    turn = Turn()
    assert in_turn(turn, present_turn) is turn
    assert present_turn() is None
    turn.leave()
    with pytest.raises(CallerGoneError):
        in_turn(turn, pytest.fail, "was begun")
