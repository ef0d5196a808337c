"""Connections that are there already: opened when needed, kept, and replaced when they broke.

Made here and not taken from psycopg_pool, whose client waits for the whole timeout while the
server is down, and after its return for a second and more for each connection that broke; it then
says neither what is wrong nor where. Here whoever needs a connection opens it, and so learns at
once why that fails.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg.pq import TransactionStatus

from contract.errors import GalleryUnavailableError

RawConnection: TypeAlias = psycopg.Connection[tuple[Any, ...]]


class ConnectionPool:
    """Up to `max_size` connections in autocommit mode. Any thread may call anything."""

    def __init__(
        self,
        connect: Callable[[], RawConnection],
        *,
        place: str,
        max_size: int,
        wait_timeout_s: float,
        max_age_s: float,
    ) -> None:
        """connect: opens one. wait_timeout_s: how long to wait where all are in use.

        max_age_s: older ones are replaced, so that servers behind a name can be exchanged.
        """
        if max_size < 1:
            raise ValueError(f"A pool needs at least 1 connection, not {max_size}.")
        self._connect = connect
        self._place = place
        self._max_size = max_size
        self._wait_timeout_s = wait_timeout_s
        self._max_age_s = max_age_s
        self._places = threading.BoundedSemaphore(max_size)
        self._lock = threading.Lock()
        self._idle: list[tuple[RawConnection, float]] = []
        self._closed = False

    @contextmanager
    def begun(self, begin: bytes) -> Iterator[RawConnection]:
        """A connection on which the statement `begin` was run, for this block alone.

        A connection that broke while it lay idle shows by that statement, and is replaced. What
        the block leaves in a transaction is rolled back. Raises psycopg's errors, or
        GalleryUnavailableError (closed, all in use).
        """
        if not self._places.acquire(timeout=self._wait_timeout_s):
            raise GalleryUnavailableError(
                f"All {self._max_size} connections to the {self._place} have been in use for "
                f"{self._wait_timeout_s:g} s: try again, or allow more."
            )
        try:
            raw, since = self._take(begin)
            try:
                yield raw
            finally:
                self._give_back(raw, since)
        finally:
            self._places.release()

    def close(self) -> None:
        """Close all connections, those in use once they come back; a second call does nothing."""
        with self._lock:
            self._closed = True
        self._drop_idle()

    def _take(self, begin: bytes) -> tuple[RawConnection, float]:
        while kept := self._pop():
            raw, since = kept
            try:
                raw.execute(begin)
                return raw, since
            except (psycopg.OperationalError, psycopg.InterfaceError):
                # Nothing was asked of it yet. What broke this one has broken the others, too.
                raw.close()
                self._drop_idle()
        raw = self._connect()
        try:
            raw.execute(begin)
        except BaseException:
            raw.close()
            raise
        return raw, time.monotonic()

    def _pop(self) -> tuple[RawConnection, float] | None:
        with self._lock:
            if self._closed:
                raise GalleryUnavailableError(f"The gallery in the {self._place} is closed.")
            return self._idle.pop() if self._idle else None

    def _give_back(self, raw: RawConnection, since: float) -> None:
        status = raw.info.transaction_status
        try:
            if status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
                raw.rollback()
            elif status != TransactionStatus.IDLE:
                raw.close()
        except psycopg.Error:
            raw.close()  # The server rolls back by itself.
        with self._lock:
            old = time.monotonic() - since > self._max_age_s
            if not (raw.closed or old or self._closed):
                self._idle.append((raw, since))
                return
        raw.close()

    def _drop_idle(self) -> None:
        with self._lock:
            dropped, self._idle = self._idle, []
        for raw, _ in dropped:
            raw.close()
