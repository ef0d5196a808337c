"""Group commit: writes that wait for one another share a transaction, and so its fsync.

One of the callers leads: it does the work of all who wait, in one transaction, each in a part of
its own that is undone alone if it is refused; then the first of those who came meanwhile leads. No
thread of its own, no timer: a lone write waits for nobody.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from contract.errors import GalleryError, GalleryUnavailableError
from index.actor import as_present_actor
from index.database import Connection, Database
from index.search import Change, joined

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is to be done once a write is durable: show a change to searches, erase copies."""

    change: Change | None = None
    erases: bool = False


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[Connection], tuple[Any, Shown]]
    show: Callable[[Change], None]
    alone: bool
    # Set when the job is done, and when it is its caller's turn to lead.
    woken: threading.Event = field(default_factory=threading.Event)
    done: bool = False
    result: Any = None
    shown: Shown = Shown()
    error: BaseException | None = None


class WriteQueue:
    """The writes to one database. Any thread may call anything."""

    def __init__(
        self, database: Database, *, last: Callable[[Connection], None] | None = None
    ) -> None:
        """last: done in each transaction that changes something, right before its commit."""
        self._database = database
        self._last = last
        # Held by the leader at work, and by whoever needs that nobody writes.
        self._lock = threading.Lock()
        # Guards the two below, for moments only.
        self._mutex = threading.Lock()
        self._waiting: list[_Job] = []
        self._led = False
        self._unusable = ""
        # Whether a write was cut off: truth and memory may have parted.
        self.parted = False

    def run(
        self,
        work: Callable[[Connection], tuple[T, Shown]],
        show: Callable[[Change], None],
        *,
        alone: bool = False,
    ) -> T:
        """Do `work` in a transaction; once that is durable, `show` its change; then return.

        Changes are shown in the order of their revisions, before any of the writes returns.
        alone: not in one transaction with others, so that what is committed is all that there is.
        Raises what `work` raises (then it has changed nothing), GalleryFullError or
        GalleryUnavailableError.
        """
        # Whoever leads does it, and it stays this caller's.
        job = _Job(as_present_actor(work), show, alone)
        with self._mutex:
            self._waiting.append(job)
            leads, self._led = not self._led, True
        if not leads:
            try:
                job.woken.wait()
            except BaseException:
                self._interrupted(job)
                raise
        if not job.done:
            self._lead(job)
        if job.error:
            raise job.error
        return cast(T, job.result)

    def check_usable(self) -> None:
        """Raise GalleryUnavailableError if truth and memory may have parted, or after close()."""
        if self._unusable:
            raise GalleryUnavailableError(self._unusable)

    def close(self, last: Callable[[], None]) -> None:
        """Finish the writes under way, refuse further ones, and do `last`; once."""
        with self._lock:
            if not self._unusable.endswith("is closed."):
                self._unusable = "The gallery is closed."
                last()

    def exclusively(self, work: Callable[[], T]) -> T:
        """Do something while nobody writes."""
        with self._lock:
            self.check_usable()
            return work()

    def _interrupted(self, job: _Job) -> None:
        """A caller does not wait any longer (Ctrl-C): take its job back, or its turn to lead on."""
        with self._mutex:
            if job not in self._waiting:
                return
            self._waiting.remove(job)
            if job.woken.is_set():
                self._led = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].woken.set()

    def _lead(self, job: _Job) -> None:
        """Commit `job`, which is the first that waits, with those after it."""
        try:
            with self._lock:
                with self._mutex:
                    jobs, self._waiting = _together(self._waiting)
                self._commit(jobs)
        finally:
            with self._mutex:
                if job in self._waiting:  # Interrupted before its turn (Ctrl-C).
                    self._waiting.remove(job)
                self._led = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].woken.set()

    def _commit(self, jobs: list[_Job]) -> None:
        try:
            self.check_usable()
            with self._database.writing() as connection:
                self._work(connection, jobs)
            _show(jobs)
            if any(job.shown.erases and not job.error for job in jobs):
                self._database.erased()
        except _NothingToCommit:
            pass
        except GalleryError as error:
            # Refused before the commit, or rolled back: of these jobs nothing has happened.
            for job in jobs:
                job.error = job.error or error
        except BaseException as error:
            # Perhaps committed and not shown: searches would answer wrongly from here on.
            self.parted = True
            self._unusable = f"A write was cut off ({error!r}): open the gallery anew."
            for job in jobs:
                job.error = job.error or GalleryUnavailableError(self._unusable)
            raise
        finally:
            for job in jobs:
                job.done = True
                job.woken.set()

    def _work(self, connection: Connection, jobs: list[_Job]) -> None:
        for job in jobs:
            try:
                with connection.savepoint():
                    job.result, job.shown = job.work(connection)
            except GalleryUnavailableError:
                raise
            except (GalleryError, ValueError) as error:
                job.error = error
        if all(job.error for job in jobs):
            raise _NothingToCommit
        if self._last is not None:
            self._last(connection)


def _show(jobs: list[_Job]) -> None:
    """Show the changes of a commit, those that go the same way in one."""
    waiting: list[Change] = []
    way: Callable[[Change], None] | None = None
    for job in jobs:
        if job.error or not job.shown.change:
            continue
        if way is not None and job.show != way:
            way(joined(waiting))
            waiting = []
        way = job.show
        waiting.append(job.shown.change)
    if way is not None:
        way(joined(waiting))


def _together(waiting: list[_Job]) -> tuple[list[_Job], list[_Job]]:
    """The jobs of the next transaction, and those that go on waiting."""
    alone = [place for place, job in enumerate(waiting) if job.alone]
    count = max(1, alone[0]) if alone else len(waiting)
    return waiting[:count], waiting[count:]


class _NothingToCommit(Exception):  # noqa: N818 - ends a transaction, is no error
    """Every write of a transaction was refused."""
