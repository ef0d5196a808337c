"""Ctrl-C while worker processes are started."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from training.data.workers import _interrupts_later


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """As in a terminal; what a shell puts into the background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_that_another_thread_takes_waits_for_the_end_too() -> None:
    """A blocked signal goes to any thread that lets it through, and Python wakes the first one."""
    ended = threading.Event()
    other = threading.Thread(target=ended.wait)
    other.start()
    finished = []

    def work() -> None:
        with _interrupts_later():
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(100):  # Python looks for signals between its steps.
                threading.Event().wait(0.001)
            finished.append(True)

    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        ended.set()
        other.join()
    assert finished
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_outside_of_the_first_thread_nothing_is_changed() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def enter() -> None:
        with _interrupts_later():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]
