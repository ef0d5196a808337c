"""Bounded threads for decode, detect, embed and search, so that the event loop stays free."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from index.actor import as_present_actor
from service.admission import Admission
from service.turn import Turn, in_turn, present_turn

T = TypeVar("T")


class Workers:
    """`threads` calls run at a time, `queue` more wait; the next is refused at once.

    queue_in_overload: how many wait while more comes than can be done (admission.py).
    deadline_s: of a request, from its first call on; what has not begun by then is dropped.
    """

    def __init__(
        self, *, threads: int, queue: int, queue_in_overload: int, deadline_s: float
    ) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="oneglance")
        self._admission = Admission(
            working=threads, waiting=queue, waiting_in_overload=queue_in_overload
        )
        self._deadline_s = deadline_s

    async def run(self, call: Callable[[], T]) -> T:
        """Result of `call` in a worker thread.

        Raises OverloadedError when all places are taken, DeadlineExceededError or CallerGoneError
        when the present turn is over before the call has begun.
        """
        turn = present_turn() or Turn()
        left_s = turn.start(self._deadline_s)
        turn.check()
        self._admission.enter()
        try:
            future = self._pool.submit(in_turn, turn, as_present_actor(call))
        except BaseException:
            self._admission.leave()
            raise
        # The place is free when the work is done, also for a client that has gone away.
        future.add_done_callback(lambda _: self._admission.leave())
        late = asyncio.get_running_loop().call_later(left_s, turn.expire)
        try:
            with turn.waiting(future.cancel):
                return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if not _is_cancelled():
                turn.check()
            raise
        finally:
            late.cancel()

    def check_place(self) -> None:
        """Raises OverloadedError where run() would."""
        self._admission.check()

    def load(self) -> tuple[int, int]:
        """How many calls are worked on, and how many wait for that."""
        return self._admission.load()

    def close(self) -> None:
        """Wait for what was accepted, then end the threads."""
        self._pool.shutdown(wait=True)


def _is_cancelled() -> bool:
    """Whether it is this task that was cancelled, and not only the call that it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
