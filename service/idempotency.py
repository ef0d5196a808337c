"""Idempotency keys: a request that is sent again gets the first answer, and is not done again.

A client that hears nothing cannot know whether its request was done. With a key of its own choice
it may ask again. Answers are kept in memory: a restart forgets them, and replicas do not share
them. They outlive what they speak of, so that a late repetition cannot bring back who was removed.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from contract.errors import IdempotencyConflictError, RequestUnderWayError

# Whose key it is, and the key.
_Name: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A successful answer. body: JSON. replayed: given before, to the same request."""

    status: int
    body: bytes
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """until: by the clock, in seconds."""

    content: bytes
    answer: Answer
    until: float


class Idempotency:
    """Answers by key, each for `keep_s` seconds; any thread may call.

    The oldest ones go earlier if there would be more than `most`, or more than `most_bytes` of
    bodies, which metadata can make large.
    """

    def __init__(
        self,
        *,
        keep_s: float,
        most: int,
        most_bytes: int = 64 * 1024 * 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keep_s, self._most, self._most_bytes, self._clock = keep_s, most, most_bytes, clock
        self._lock = threading.Lock()
        # As a request is under way in its own thread, there are never more of these than threads.
        self._under_way: dict[_Name, bytes] = {}
        # In the order of being answered, which is that of being forgotten.
        self._kept: dict[_Name, _Kept] = {}
        self._bytes = 0

    def once(
        self, key: str, content: bytes, work: Callable[[], Answer], *, owner: str = ""
    ) -> Answer:
        """What `work` answers, or what it answered to this key before.

        content: fingerprint() of all that decides what the request does. What `work` raises is
        raised, and the key is free again. owner: who sent it; nobody hears of another's keys.
        Raises IdempotencyConflictError (the key came with another content), or
        RequestUnderWayError (the first request with it is not answered yet).
        """
        name = (owner, key)
        known = self._begin(name, content)
        if known is not None:
            return known
        try:
            answer = work()
        except BaseException:
            with self._lock:
                del self._under_way[name]
            raise
        self._keep(name, content, answer)
        return answer

    def _begin(self, name: _Name, content: bytes) -> Answer | None:
        with self._lock:
            self._forget()
            kept = self._kept.get(name)
            first = kept.content if kept else self._under_way.get(name)
            if first is None:
                self._under_way[name] = content
                return None
            _, key = name
            if first != content:
                raise IdempotencyConflictError(key)
            if kept is None:
                raise RequestUnderWayError(key)
            return Answer(status=kept.answer.status, body=kept.answer.body, replayed=True)

    def _keep(self, name: _Name, content: bytes, answer: Answer) -> None:
        with self._lock:
            until = self._clock() + self._keep_s
            del self._under_way[name]
            self._kept[name] = _Kept(content=content, answer=answer, until=until)
            self._bytes += len(answer.body)
            self._forget()

    def _forget(self) -> None:
        now = self._clock()
        while self._kept:
            name, oldest = next(iter(self._kept.items()))
            too_many = len(self._kept) > self._most or self._bytes > self._most_bytes
            if not too_many and oldest.until > now:
                break
            del self._kept[name]
            self._bytes -= len(oldest.answer.body)


def fingerprint(parts: Iterable[bytes]) -> bytes:
    """A short name of these parts in this order: other parts, or cut otherwise, another name."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.digest()
