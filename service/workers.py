"""Bounded threads for decode, detect, embed and search, so that the event loop stays free."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from contract.errors import OverloadedError

T = TypeVar("T")


class Workers:
    """`threads` calls run at a time, `queue` more wait; the next is refused at once."""

    def __init__(self, *, threads: int, queue: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="oneglance")
        self._places = threading.Semaphore(threads + queue)

    async def run(self, call: Callable[[], T]) -> T:
        """Result of `call` in a worker thread. Raises OverloadedError when all places are taken."""
        if not self._places.acquire(blocking=False):
            raise OverloadedError("All places in the queue are taken: try again in a second.")
        try:
            future = self._pool.submit(call)
        except BaseException:
            self._places.release()
            raise
        # The place is free when the work is done, also for a client that has gone away.
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Wait for what was accepted, then end the threads."""
        self._pool.shutdown(wait=True)
