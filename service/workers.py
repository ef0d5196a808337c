"""Bounded threads for decode, detect, embed and search, so that the event loop stays free."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from contract.errors import OverloadedError

T = TypeVar("T")


class Workers:
    """`threads` calls run at a time, `queue` more wait; the next is refused at once."""

    def __init__(self, *, threads: int, queue: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="oneglance")
        self._threads, self._places = threads, threading.Semaphore(threads + queue)
        self._lock = threading.Lock()
        self._accepted = 0

    async def run(self, call: Callable[[], T]) -> T:
        """Result of `call` in a worker thread. Raises OverloadedError when all places are taken."""
        if not self._places.acquire(blocking=False):
            raise OverloadedError("All places in the queue are taken: try again in a second.")
        try:
            future = self._pool.submit(call)
        except BaseException:
            self._places.release()
            raise
        with self._lock:
            self._accepted += 1
        # The place is free when the work is done, also for a client that has gone away.
        future.add_done_callback(self._done)
        return await asyncio.wrap_future(future)

    def load(self) -> tuple[int, int]:
        """How many calls are worked on, and how many wait for that."""
        accepted = self._accepted
        return min(accepted, self._threads), max(accepted - self._threads, 0)

    def _done(self, _: Future[Any]) -> None:
        with self._lock:
            self._accepted -= 1
        self._places.release()

    def close(self) -> None:
        """Wait for what was accepted, then end the threads."""
        self._pool.shutdown(wait=True)
