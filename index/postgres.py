"""The truth in PostgreSQL with pgvector, for several replicas at a time.

A commit that returned is in the server's write-ahead log on its disk (synchronous_commit is never
below `on`), so it survives a killed server; that fsync and full_page_writes are on there is the
administrator's part. What is committed is what every replica reads from then on: none keeps a copy.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from contract.errors import GalleryError, GalleryUnavailableError

try:
    import psycopg
except ImportError as error:
    raise GalleryError(
        f"A gallery on PostgreSQL needs psycopg ({error}): pip install 'oneglance[postgres]'."
    ) from error

from index import postgres_schema as schema
from index.postgres_check import check_tables
from index.postgres_connection import PostgresConnection, adapt
from index.postgres_errors import place_of, server_errors
from index.postgres_hnsw import HnswBuilder
from index.postgres_pool import ConnectionPool, RawConnection

_MAX_AGE_S = 30 * 60.0
_READ = b"BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_WRITE = b"BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE"
_NO_TRANSACTION = b""


class PostgresDatabase:
    """Database of PostgreSQL; any number of writing() at a time."""

    def __init__(
        self,
        dsn: str,
        *,
        max_connections: int = 8,
        connect_timeout_s: float = 5.0,
        statement_timeout_s: float = 30.0,
        hnsw_from_templates: int = 20_000,
    ) -> None:
        """Reads the DSN and connects to nothing yet: see open()."""
        self.place = place_of(dsn)
        self._dsn = dsn
        self._connect_timeout_s = connect_timeout_s
        self._statement_timeout_s = statement_timeout_s
        self._pool = ConnectionPool(
            self._connect,
            place=self.place,
            max_size=max_connections,
            wait_timeout_s=connect_timeout_s,
            max_age_s=_MAX_AGE_S,
        )
        self._builder = HnswBuilder(self._connect, self.place, from_templates=hnsw_from_templates)

    @classmethod
    def open(
        cls,
        dsn: str,
        *,
        max_connections: int = 8,
        connect_timeout_s: float = 5.0,
        statement_timeout_s: float = 30.0,
        hnsw_from_templates: int = 20_000,
    ) -> Self:
        """Connect to the database of a DSN, and make the tables where there are none.

        dsn: postgresql://role:password@host:port/database, or another form that libpq takes; of
        the server itself, not of a pooler that lends one session to several clients.
        max_connections: of this replica at a time, index builds in the background apart.
        connect_timeout_s: for opening a connection, and for waiting until one is free.
        statement_timeout_s: for one statement, waits for other writers included.
        hnsw_from_templates: size of a collection from which on searches are approximate.
        Raises GalleryError (no DSN; a newer schema) or GalleryUnavailableError (not reachable, no
        pgvector, tables of another application).
        """
        database = cls(
            dsn,
            max_connections=max_connections,
            connect_timeout_s=connect_timeout_s,
            statement_timeout_s=statement_timeout_s,
            hnsw_from_templates=hnsw_from_templates,
        )
        try:
            # A look first: a standby or a role that may only read can open what is there.
            with database.reading() as connection:
                current = schema.is_current(connection)
            if not current:
                with database.writing() as connection:
                    schema.make_current(connection)
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """See Database."""
        self._builder.close()
        self._pool.close()

    @contextmanager
    def reading(self) -> Iterator[PostgresConnection]:
        """See Database."""
        with self._begun(_READ) as raw:
            yield PostgresConnection(raw, self.place)

    @contextmanager
    def writing(self) -> Iterator[PostgresConnection]:
        """See Database.

        Where the connection is lost during the commit itself, GalleryUnavailableError says that
        the outcome is not known; nothing is tried again here.
        """
        with self._begun(_WRITE) as raw:
            yield PostgresConnection(raw, self.place)
            with server_errors(self.place, committing=True):
                done = raw.execute("COMMIT")
            if done.statusmessage != "COMMIT":
                # The server's answer to the commit of a transaction in which a statement failed.
                raise GalleryUnavailableError(
                    f"The {self.place} undid a write, a part of which had failed."
                )

    @property
    def has_overwritten(self) -> bool:
        """See Database. Never known: see erased()."""
        return False

    def erased(self) -> None:
        """Nothing, at once: a removed row is in no answer any more, but its bytes stay for a while.

        PostgreSQL overwrites them, in tables and indexes, when VACUUM has freed their place
        (autovacuum does, compact() does at once) and new rows take it; the write-ahead log has
        them until its segments are recycled, and so have its archives and base backups as long as
        those are kept.
        """

    def verify(self) -> None:
        """See Database. With the extension amcheck it also looks into indexes and pages."""
        with self.reading() as connection:
            connection.execute("SET LOCAL statement_timeout = 0")
            check_tables(connection)

    def compact(self) -> None:
        """See Database. Writes each table and its indexes anew, HNSW included."""
        with self._begun(_NO_TRANSACTION) as raw:
            try:
                raw.execute("SET statement_timeout = 0")
                for table in schema.TABLES:
                    raw.execute(f"VACUUM (FULL, ANALYZE) {table}".encode())
            finally:
                raw.close()  # Nobody else is to have a connection without a time limit.

    def ensure_index(self, collection_number: int, contract_number: int, size: int) -> None:
        """Have an approximate index built, in the background, where a collection is large enough.

        Returns at once; cheap enough to be called after every write. size: D.
        """
        self._builder.ensure(collection_number, contract_number, size)

    def settle(self) -> None:
        """Wait until no index is being built: for tests and measurements."""
        self._builder.settle()

    @contextmanager
    def _begun(self, begin: bytes) -> Iterator[RawConnection]:
        with server_errors(self.place), self._pool.begun(begin) as raw:
            yield raw

    def _connect(self) -> RawConnection:
        timeout_ms = round(self._statement_timeout_s * 1_000)
        with server_errors(self.place, connecting=True):
            raw = psycopg.connect(
                self._dsn,
                autocommit=True,
                fallback_application_name="oneglance",
                connect_timeout=max(1, round(self._connect_timeout_s)),
                # A server that is gone without a word is noticed within seconds.
                keepalives_idle=5,
                keepalives_interval=2,
                keepalives_count=3,
                tcp_user_timeout=round(self._connect_timeout_s * 1_000),
            )
        try:
            adapt(raw)
            # One exchange. A replica that hangs in a transaction must not hold up the others.
            raw.execute(
                "SELECT set_config('statement_timeout', %(ms)s, false),"
                " set_config('idle_in_transaction_session_timeout', %(idle_ms)s, false),"
                " set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit')"
                " = 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)",
                {"ms": str(timeout_ms), "idle_ms": str(2 * timeout_ms)},
            )
        except BaseException:
            raw.close()
            raise
        return raw
