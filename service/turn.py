"""A request's turn to be worked on: until when it is worth beginning, and whether for anybody."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

from contract.errors import CallerGoneError, DeadlineExceededError

P = ParamSpec("P")
T = TypeVar("T")


class Turn:
    """Of one request. Any thread may check it; the event loop alone changes it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._deadline_s = 0.0
        self._ends: float | None = None
        self._gone = self._late = False
        self._waiting: list[Callable[[], object]] = []

    def start(self, deadline_s: float) -> float:
        """Its time begins, unless it has begun before; the seconds that are left."""
        if self._ends is None:
            self._ends = self._clock() + deadline_s
            self._deadline_s = deadline_s
        return self._ends - self._clock()

    def check(self) -> None:
        """Call before anything is begun. Raises CallerGoneError or DeadlineExceededError."""
        if self._gone:
            raise CallerGoneError
        if self._late or (self._ends is not None and self._clock() >= self._ends):
            raise DeadlineExceededError(self._deadline_s)

    def leave(self) -> None:
        """Whoever asked has gone away."""
        self._gone = True
        self._stop_waiting()

    def expire(self) -> None:
        """Its time is over."""
        self._late = True
        self._stop_waiting()

    @contextmanager
    def waiting(self, stop: Callable[[], object]) -> Iterator[None]:
        """Let `stop` be called where the turn is over meanwhile."""
        self._waiting.append(stop)
        try:
            yield
        finally:
            self._waiting.remove(stop)

    def _stop_waiting(self) -> None:
        for stop in [*self._waiting]:
            stop()


_present: ContextVar[Turn | None] = ContextVar("turn", default=None)


def present_turn() -> Turn | None:
    """Whose turn it is in this code, on the event loop and in a worker; None outside of requests,
    as in a job."""
    return _present.get()


@contextmanager
def taking(turn: Turn) -> Iterator[None]:
    """Let present_turn() be this one meanwhile."""
    token = _present.set(turn)
    try:
        yield
    finally:
        _present.reset(token)


def in_turn(turn: Turn, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Result of `call`, in whose code it is that turn. Raises what Turn.check raises."""
    turn.check()
    with taking(turn):
        return call(*args, **kwargs)
