"""Opening a gallery in PostgreSQL: its schema, what is refused, what is never said."""

import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from contract.errors import GalleryError, GalleryUnavailableError
from index import postgres_schema as schema
from index.postgres import PostgresDatabase
from index.postgres_connection import PostgresConnection
from index.postgres_errors import place_of


def test_replicas_that_start_at_once_make_one_schema(postgres_dsn: str) -> None:
    barrier = threading.Barrier(6)
    opened: list[PostgresDatabase] = []

    def open_one() -> None:
        barrier.wait()
        opened.append(PostgresDatabase.open(postgres_dsn))

    threads = [threading.Thread(target=open_one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 6
    with opened[0].reading() as c:
        assert c.execute("SELECT application, version FROM schema_version") == [
            ("oneglance", schema.SCHEMA_VERSION)
        ]
    for database in opened:
        database.close()
        database.close()


def open_again(dsn: str, *statements: str) -> None:
    """Open after changes by hand."""
    with psycopg.connect(dsn, autocommit=True) as c:
        for statement in statements:
            c.execute(statement.encode())
    PostgresDatabase.open(dsn).close()


def test_a_newer_schema_is_refused_in_words(postgres_dsn: str) -> None:
    PostgresDatabase.open(postgres_dsn).close()
    newer = schema.SCHEMA_VERSION + 1
    with pytest.raises(GalleryError, match=f"has schema version {newer}") as caught:
        open_again(postgres_dsn, f"UPDATE schema_version SET version = {newer}")
    assert not isinstance(caught.value, GalleryUnavailableError)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ("CREATE TABLE subjects (x int)", r"another application \(subjects\)"),
        ("CREATE TABLE schema_version (version text)", "another application's"),
        ("CREATE TABLE schema_version (application text, version int)", "another application's"),
    ],
)
def test_a_database_of_something_else_is_left_alone(
    postgres_dsn: str, before: str, words: str
) -> None:
    with pytest.raises(GalleryUnavailableError, match=words):
        open_again(postgres_dsn, before)
    with psycopg.connect(postgres_dsn) as c:
        tables = c.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (1,)


def test_missing_tables_are_told(postgres_dsn: str) -> None:
    PostgresDatabase.open(postgres_dsn).close()
    with pytest.raises(GalleryUnavailableError, match=r"damaged .there is no table crops"):
        open_again(postgres_dsn, "DROP TABLE crops")


def test_an_old_pgvector_is_refused_in_words(postgres_dsn: str) -> None:
    # Another session's catalogue tells the version; the library in memory stays the new one.
    with pytest.raises(GalleryUnavailableError, match=r"has pgvector 0\.7\.4, 0\.8 or newer"):
        open_again(
            postgres_dsn,
            "CREATE EXTENSION vector",
            "UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'",
        )


def test_a_server_without_pgvector_is_refused_in_words(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = PostgresConnection.execute

    def without(self: PostgresConnection, sql: str, values: Sequence[Any] = ()) -> Any:
        return [] if "pg_available_extensions" in sql else usual(self, sql, values)

    monkeypatch.setattr(PostgresConnection, "execute", without)
    with pytest.raises(GalleryUnavailableError, match="has no pgvector: install it there"):
        PostgresDatabase.open(postgres_dsn)


def test_a_role_that_may_not_is_told_what_to_ask_for(postgres_dsn: str) -> None:
    with psycopg.connect(postgres_dsn, autocommit=True) as c:
        c.execute("DROP ROLE IF EXISTS guest")
        c.execute("CREATE ROLE guest LOGIN")
    guest = postgres_dsn.replace("oneglance@", "guest@")
    with pytest.raises(GalleryUnavailableError, match="administrator run CREATE EXTENSION vector"):
        PostgresDatabase.open(guest)
    with psycopg.connect(postgres_dsn, autocommit=True) as c:
        c.execute("CREATE EXTENSION vector")
    with pytest.raises(GalleryUnavailableError, match="give this role the right"):
        PostgresDatabase.open(guest)
    PostgresDatabase.open(postgres_dsn).close()
    with pytest.raises(GalleryUnavailableError, match="give this role the right"):
        PostgresDatabase.open(guest)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://ann:s3cr%et@127.0.0.1/db",
        "postgresql://ann:s3cr%et@127.0.0.1/db?no_such_option=1",
        "postgresql://ann:s3cr%25et@127.0.0.1/db?no_such_option=1",
        "postgresql://ann:s3cr%25et@127.0.0.1:1/db",
    ],
)
def test_no_message_has_the_password(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(GalleryError) as caught:
        PostgresDatabase.open(dsn)
    seen: BaseException | None = caught.value
    while seen is not None:
        assert "s3cr" not in str(seen)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    assert "s3cr" not in caplog.text


def test_places_are_named() -> None:
    assert place_of("postgresql://ann:pw@db.local:5433/faces") == (
        "PostgreSQL database 'faces' on db.local:5433"
    )
    assert place_of("postgresql://ann@/?host=/run/pg") == "PostgreSQL database 'ann' on /run/pg"
    assert place_of("postgresql:///faces") == "PostgreSQL database 'faces' on this machine"


def test_nothing_is_said_in_the_log_as_long_as_all_is_well(
    postgres_dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        PostgresDatabase.open(postgres_dsn).close()
    assert not caplog.records


def test_a_missing_driver_is_told_with_what_to_install() -> None:
    program = (
        "import sys\n"
        "sys.modules['psycopg'] = None\n"
        "from contract.errors import GalleryError\n"
        "from index.gallery import Gallery\n"
        "try:\n"
        "    Gallery.open('postgresql://db/faces')\n"
        "except GalleryError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install 'oneglance[postgres]'" in done.stdout, done.stderr
