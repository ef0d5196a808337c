"""A signal in the midst of another one: `make` and a terminal send each of theirs at once."""

import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
import uvicorn

from service.ending import Ending
from service.graceful_server import GracefulServer

LIMIT_S = 10.0


@pytest.fixture
def _no_waiting_for_ever() -> Iterator[None]:
    """What waits for itself is broken off."""

    def broken_off(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"A signal waits for the one before at {frame}.")

    before = signal.signal(signal.SIGALRM, broken_off)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def interrupted_everywhere(call: Callable[[], None]) -> int:
    """`call`, with another `call` before each line of Python that it runs; how many there were."""
    others = 0

    def look(frame: FrameType, event: str, given: Any) -> Any:
        nonlocal others
        if event == "line":
            sys.settrace(None)
            others += 1
            call()
            sys.settrace(look)
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        call()
    finally:
        sys.settrace(before)
    return others


@pytest.mark.usefixtures("_no_waiting_for_ever")
def test_a_second_signal_does_not_wait_for_the_first() -> None:
    ending = Ending()
    server = GracefulServer(uvicorn.Config("none:none"), grace_s=0, told=ending.begin)
    assert not ending.begun
    assert interrupted_everywhere(lambda: server.handle_exit(signal.SIGTERM, None)) > 3
    assert ending.begun
    assert server.should_exit
    assert not server.force_exit
