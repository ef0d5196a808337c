"""Callers: some that wait for each answer, or a stream that waits for none."""

import itertools
import selectors
import time
from collections.abc import Sequence
from typing import Final

from benchmarks.load.connection import Connection
from benchmarks.load.record import NO_ANSWER, Asked, Load

# A request that could not be sent since so many are under way counts as one without an answer.
MOST_UNDER_WAY: Final = 500
# The service closes a connection on which nothing was asked for 5 s. What is asked in that moment
# has no answer, so a caller who knows closes it before.
IDLE_S: Final = 2.0
# No answer for so long after the last request was sent: those under way will have none.
PATIENCE_S: Final = 60.0


class Callers:
    """Requests to one address, again and again in the same order, by one thread."""

    def __init__(self, address: tuple[str, int], requests: Sequence[bytes]) -> None:
        self._address = address
        self._requests = itertools.cycle(requests)
        self._selector = selectors.DefaultSelector()
        # With when the last answer came, by perf_counter: the oldest first.
        self._idle: list[tuple[float, Connection]] = []
        self._due: dict[Connection, float] = {}
        self._asked: list[Asked] = []
        self._start = 0.0

    def waiting_ones(self, callers: int, *, seconds: float) -> Load:
        """Each of `callers` asks anew as soon as it has its answer."""
        self._begin()
        for _ in range(callers):
            self._ask(0.0)
        while (now := self._now()) < seconds:
            for came_s in self._take(seconds - now):
                if came_s < seconds:
                    self._ask(came_s)
        return self._drain()

    def stream(self, rate: float, *, seconds: float) -> Load:
        """`rate` requests a second, each sent when it is due, whatever became of those before.

        Times count from then: a sender that is late makes no answer look fast.
        """
        self._begin()
        sent = 0
        while (due_s := sent / rate) < seconds:
            wait_s = due_s - self._now()
            if wait_s > 0:
                self._take(wait_s)
                continue
            self._ask(due_s)
            sent += 1
        return self._drain()

    def close(self) -> None:
        for connection in (*(c for _, c in self._idle), *self._due):
            connection.close()
        self._selector.close()

    def _begin(self) -> None:
        self._asked = []
        self._start = time.perf_counter()

    def _drain(self) -> Load:
        """Wait for what is under way: it belongs to the load, and is counted."""
        took = self._now()
        last = took + PATIENCE_S
        while self._due and self._now() < last:
            self._take(last - self._now())
        for connection in [*self._due]:
            self._broken(connection)
        return Load(asked=self._asked, seconds=took)

    def _now(self) -> float:
        return time.perf_counter() - self._start

    def _ask(self, due_s: float) -> None:
        request = next(self._requests)
        if len(self._due) >= MOST_UNDER_WAY:
            self._asked.append(Asked(NO_ANSWER, due_s, 0.0))
            return
        try:
            connection = self._kept() or self._opened()
        except OSError:
            self._asked.append(Asked(NO_ANSWER, due_s, (self._now() - due_s) * 1_000))
            return
        self._due[connection] = due_s
        try:
            connection.send(request)
        except OSError:
            self._broken(connection)

    def _kept(self) -> Connection | None:
        """The one that was used last, if it may be used again; older ones are closed."""
        while self._idle and self._idle[0][0] < time.perf_counter() - IDLE_S:
            self._forget(self._idle[0][1])
        return self._idle.pop()[1] if self._idle else None

    def _opened(self) -> Connection:
        connection = Connection(self._address)
        self._selector.register(connection, selectors.EVENT_READ, connection)
        return connection

    def _take(self, wait_s: float) -> list[float]:
        """Answers that come within a wait; the times at which they had come."""
        came = []
        for key, _ in self._selector.select(wait_s):
            connection: Connection = key.data
            if connection not in self._due:
                # Closed by the server while nothing was asked on it.
                self._forget(connection)
                continue
            try:
                answer = connection.read()
            except OSError:
                self._broken(connection)
                came.append(self._now())
                continue
            if answer is None:
                continue
            now, due_s = self._now(), self._due.pop(connection)
            again = "retry-after" in answer.headers
            self._asked.append(Asked(answer.status, due_s, (now - due_s) * 1_000, again))
            came.append(now)
            if answer.keeps:
                self._idle.append((time.perf_counter(), connection))
            else:
                self._forget(connection)
        return came

    def _broken(self, connection: Connection) -> None:
        due_s = self._due.pop(connection)
        self._asked.append(Asked(NO_ANSWER, due_s, (self._now() - due_s) * 1_000))
        self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        self._selector.unregister(connection)
        connection.close()
        self._idle = [kept for kept in self._idle if kept[1] is not connection]
