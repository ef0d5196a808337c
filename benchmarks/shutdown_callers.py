"""Callers of a service that ends: each asks until it is refused, and what came is kept."""

import itertools
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from benchmarks.load.connection import Answer, Connection

# kept: one connection, asked on again at once; new: one for each request; pausing: one connection,
# on which nothing is asked for a while after each answer.
Habit = Literal["kept", "new", "pausing"]
PAUSE_S: Final = (0.01, 0.5)


@dataclass(slots=True)
class Sent:
    """A request on a connection that was made. Times by time.monotonic; status 0: no answer.

    whole_s: when all of it was sent, None if it never was.
    """

    habit: Habit
    kept: bool
    whole_s: float | None = None
    ended_s: float = 0.0
    status: int = 0
    closes: bool = False
    error: str = ""


@dataclass(slots=True)
class Asked:
    """By all callers. refused_s: when the last of them could not connect any more, of each."""

    sent: list[Sent] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)


class Caller(threading.Thread):
    """Asks the requests in turn, from start() on until it is refused, or too late."""

    def __init__(
        self,
        address: tuple[str, int],
        requests: Sequence[bytes],
        habit: Habit,
        until_s: float,
        asked: Asked,
    ) -> None:
        super().__init__()
        self._address, self._requests = address, itertools.cycle(requests)
        self._habit, self._until_s, self._asked = habit, until_s, asked
        self._pauses = random.Random(id(self))

    def run(self) -> None:
        connection, kept = None, False
        while time.monotonic() < self._until_s:
            if connection is None:
                try:
                    connection, kept = Connection(self._address), False
                except OSError:
                    self._asked.refused_s.append(time.monotonic())
                    return
            sent = Sent(self._habit, kept)
            self._asked.sent.append(sent)
            answer = _ask(connection, next(self._requests), sent)
            kept = answer is not None and answer.keeps and self._habit != "new"
            if self._habit == "pausing":
                time.sleep(self._pauses.uniform(*PAUSE_S))
            if not kept:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()


def ask_until_refused(
    address: tuple[str, int], requests: Sequence[bytes], habits: Sequence[Habit], *, until_s: float
) -> tuple[Asked, list[Caller]]:
    """A caller for each habit, begun; what they asked is whole when all are joined."""
    asked = Asked()
    callers = [Caller(address, requests, habit, until_s, asked) for habit in habits]
    for caller in callers:
        caller.start()
    return asked, callers


def _ask(connection: Connection, request: bytes, sent: Sent) -> Answer | None:
    answer = None
    try:
        connection.send(request)
        sent.whole_s = time.monotonic()
        while answer is None:
            answer = connection.read()
        sent.status, sent.closes = answer.status, not answer.keeps
    except OSError as error:
        sent.error = repr(error)
    sent.ended_s = time.monotonic()
    return answer
