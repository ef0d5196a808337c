"""A lock that many readers or one writer hold."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager


class ReadersWriterLock:
    """Readers share it, a writer has it alone; a waiting writer goes before later readers.

    Without that preference steady searches would keep an enrolment waiting for ever. A thread may
    not take it twice: a writer that waits between the two would stop both.
    """

    def __init__(self) -> None:
        # Taken by itself where nobody has to wait: a Condition does that in Python.
        self._mutex = threading.Lock()
        self._changed = threading.Condition(self._mutex)
        self._readers = 0
        self._writers_waiting = 0
        self._writing = False
        # Made once: a search of a small gallery takes little longer than making two of them.
        self._shared = _Held(self._begin_reading, self._end_reading)
        self._exclusive = _Held(self._begin_writing, self._end_writing)

    def shared(self) -> AbstractContextManager[None]:
        """Hold it beside other readers."""
        return self._shared

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold it alone."""
        return self._exclusive

    def _begin_reading(self) -> None:
        with self._mutex:
            while self._writing or self._writers_waiting:
                self._changed.wait()
            self._readers += 1

    def _end_reading(self) -> None:
        with self._mutex:
            self._readers -= 1
            if not self._readers and self._writers_waiting:
                self._changed.notify_all()

    def _begin_writing(self) -> None:
        with self._mutex:
            self._writers_waiting += 1
            try:
                while self._writing or self._readers:
                    self._changed.wait()
                self._writing = True
            finally:
                self._writers_waiting -= 1
                if not self._writing:  # Interrupted: readers that waited for us may go on.
                    self._changed.notify_all()

    def _end_writing(self) -> None:
        with self._mutex:
            self._writing = False
            self._changed.notify_all()


class _Held:
    """Between two calls; it has no state of its own, so all threads can use one."""

    def __init__(self, begin: Callable[[], None], end: Callable[[], None]) -> None:
        self._begin = begin
        self._end = end

    def __enter__(self) -> None:
        self._begin()

    def __exit__(self, *error: object) -> None:
        self._end()
