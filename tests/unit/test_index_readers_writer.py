"""ReadersWriterLock: readers together, a writer alone and before readers that come later."""

import threading
import time
from collections.abc import Callable

import pytest

from index.readers_writer import ReadersWriterLock

SOON = 5.0


def start(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_readers_hold_it_together() -> None:
    lock, meeting = ReadersWriterLock(), threading.Barrier(3)

    def read() -> None:
        with lock.shared():
            meeting.wait(SOON)

    threads = [start(read) for _ in range(3)]
    for thread in threads:
        thread.join(SOON)
    assert not meeting.broken


def test_a_waiting_writer_goes_before_later_readers() -> None:
    lock, order = ReadersWriterLock(), []

    def write() -> None:
        with lock.exclusive():
            order.append("writer")

    def read() -> None:
        with lock.shared():
            order.append("later reader")

    with lock.shared():
        writer = start(write)
        wait_until(lambda: lock._writers_waiting == 1)
        reader = start(read)
        time.sleep(0.05)
        assert order == []
    writer.join(SOON)
    reader.join(SOON)
    assert order == ["writer", "later reader"]


def test_an_error_inside_lets_it_go() -> None:
    lock = ReadersWriterLock()
    for hold in (lock.exclusive, lock.shared, lock.exclusive):
        with pytest.raises(KeyError), hold():
            raise KeyError
    with lock.exclusive():
        pass


def test_two_counters_are_never_seen_apart() -> None:
    lock, end = ReadersWriterLock(), time.monotonic() + 0.3
    counters, torn = [0, 0], []

    def write() -> None:
        while time.monotonic() < end:
            with lock.exclusive():
                counters[0] += 1
                time.sleep(0)
                counters[1] += 1

    def read() -> None:
        while time.monotonic() < end:
            with lock.shared():
                if counters[0] != counters[1]:
                    torn.append(tuple(counters))

    threads = [start(work) for work in (write, write, read, read, read)]
    for thread in threads:
        thread.join(SOON)
    assert counters[0] == counters[1] > 0
    assert torn == []
