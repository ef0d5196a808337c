"""Approximate indexes in PostgreSQL: pgvector's HNSW, one for each large collection and contract.

An index covers the rows of one collection under one contract only (a partial index), so searches
never have to pass over others' rows. It holds numbers of 16 bits (halfvec): half the memory, and
what is found is scored again from the stored 32 bits anyway.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

import psycopg

from contract.errors import GalleryError
from index.postgres_errors import server_errors
from index.postgres_pool import RawConnection

log = logging.getLogger(__name__)

HALFVEC_SIZE_MAX: Final = 4_000  # of pgvector's HNSW over halfvec
# Halfvec keeps 11 bits of numbers from 6e-5 on: a tiny embedding space would be rounded away.
D_MAX_MIN: Final = 0.1
_M: Final = 16
_EF_CONSTRUCTION: Final = 128
_MEMORY_MAX_MB: Final = 1_024
_ROW_OVERHEAD_BYTES: Final = 800  # links to neighbours, measured
_LOOK_EVERY_S: Final = 10.0
_BUILD_LOCK: Final = 0x4F6E65476C616E64
_PREFIX: Final = "templates_hnsw"

Key: TypeAlias = tuple[int, int, int]  # collection number, contract number, D


def index_name(collection_number: int, contract_number: int) -> str:
    """Of the HNSW index of a collection under a contract."""
    return f"{_PREFIX}_{collection_number}_{contract_number}"


def indexed_expression(size: int) -> str:
    """What is indexed; a search has to order by the same expression."""
    return f"(embedding::halfvec({size}))"


class HnswBuilder:
    """Builds indexes in a thread of its own, one at a time in all replicas of a database."""

    def __init__(
        self, connect: Callable[[], RawConnection], place: str, *, from_templates: int
    ) -> None:
        """connect: opens a connection in autocommit mode. from_templates: size to build from."""
        self._connect = connect
        self._place = place
        self._from_templates = from_templates
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._raw: RawConnection | None = None
        self._next_look: dict[Key, float] = {}
        self._closed = False

    def ensure(self, collection_number: int, contract_number: int, size: int) -> None:
        """Have an index built if the collection is large enough and has none; returns at once."""
        key = (collection_number, contract_number, size)
        with self._lock:
            busy = self._thread is not None and self._thread.is_alive()
            now = time.monotonic()
            if self._closed or busy or now < self._next_look.get(key, 0.0):
                return
            self._next_look[key] = now + _LOOK_EVERY_S
            self._thread = threading.Thread(target=self._run, args=key, name="hnsw", daemon=True)
            self._thread.start()

    def settle(self) -> None:
        """Wait until nothing is being built."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def close(self) -> None:
        """Break off what is being built; a second call does nothing.

        What a broken off build leaves is invalid, not used, and removed before the next one.
        """
        with self._lock:
            self._closed = True
        while self._thread is not None and self._thread.is_alive():
            with self._lock:
                raw = self._raw
            if raw is not None:
                # Too early where no statement runs yet: hence again and again.
                with suppress(psycopg.Error):
                    raw.cancel_safe(timeout=1.0)
            self._thread.join(timeout=0.05)

    def _run(self, collection: int, contract: int, size: int) -> None:
        key = (collection, contract, size)
        try:
            with server_errors(self._place), self._connect() as raw:
                with self._lock:
                    self._raw = raw
                try:
                    if self._look(raw, *key):
                        self._next_look[key] = float("inf")
                finally:
                    with self._lock:
                        self._raw = None
        except (GalleryError, ValueError, psycopg.Error) as error:
            # Exact searches stay right meanwhile, if slower.
            if not self._closed:
                log.warning("An approximate index could not be built, for now: %s", error)

    def _look(self, raw: RawConnection, collection: int, contract: int, size: int) -> bool:
        """Build where it is time to; whether there is no need to look again."""
        _drop_orphans(raw)
        name = index_name(collection, contract)
        if is_valid(raw, name):
            return True
        row = raw.execute(
            "SELECT k.d_max, (SELECT count(*) FROM templates WHERE collection_number = %s"
            " AND contract_number = %s) FROM contracts k WHERE k.number = %s",
            (collection, contract, contract),
        ).fetchone()
        if row is None or row[1] < self._from_templates:
            return False
        if size > HALFVEC_SIZE_MAX or row[0] < D_MAX_MIN:
            return True
        if raw.execute("SELECT pg_try_advisory_lock(%s)", (_BUILD_LOCK,)).fetchone() != (True,):
            return False  # Another replica builds; its lock goes with its connection.
        if is_valid(raw, name):
            return True  # It has just finished.
        start = time.monotonic()
        self._build(raw, name, collection, contract, size, templates=row[1])
        log.info("Built %s of %d templates in %.0f s", name, row[1], time.monotonic() - start)
        return is_valid(raw, name)

    def _build(
        self,
        raw: RawConnection,
        name: str,
        collection: int,
        contract: int,
        size: int,
        *,
        templates: int,
    ) -> None:
        need_mb = templates * (2 * size + _ROW_OVERHEAD_BYTES) // 2**20 + 64
        # One process, without shared memory: searches go on beside it, and a container's
        # /dev/shm, often 64 MB, is no limit.
        settings = {
            "statement_timeout": "0",
            "max_parallel_maintenance_workers": "0",
            "maintenance_work_mem": f"{min(need_mb, _MEMORY_MAX_MB)}MB",
        }
        for setting, value in settings.items():
            raw.execute("SELECT set_config(%s, %s, false)", (setting, value))
        # Left behind by a build that was broken off.
        raw.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}".encode())
        if not self._closed:
            raw.execute(
                f"CREATE INDEX CONCURRENTLY {name} ON templates USING hnsw"
                f" ({indexed_expression(size)} halfvec_l2_ops)"
                f" WITH (m = {_M}, ef_construction = {_EF_CONSTRUCTION})"
                f" WHERE collection_number = {collection} AND contract_number = {contract}".encode()
            )


def is_valid(raw: RawConnection, name: str) -> bool:
    """Whether the index of that name is there, and whole."""
    sql = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"
    return raw.execute(sql, (name,)).fetchone() == (True,)


def _drop_orphans(raw: RawConnection) -> None:
    """Drop the indexes of collections and contracts that are no longer."""
    names = raw.execute(
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        f" WHERE i.indrelid = 'templates'::regclass AND c.relname ~ '^{_PREFIX}_[0-9]+_[0-9]+$'"
        " AND NOT EXISTS (SELECT 1 FROM collections k WHERE c.relname IN"
        f" ('{_PREFIX}_' || k.number || '_' || k.contract_number,"
        f" '{_PREFIX}_' || k.number || '_' || k.next_contract_number,"
        f" '{_PREFIX}_' || k.number || '_' || k.former_contract_number))".encode()
    )
    for (name,) in names.fetchall():
        raw.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}".encode())
