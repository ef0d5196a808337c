"""What a PostgreSQL server may do to us: told in words, bounded in time, and gone on from."""

import time

import psycopg
import pytest

from benchmarks.postgres_server import PostgresServer
from contract.errors import GalleryFullError, GalleryUnavailableError
from index.postgres import PostgresDatabase
from index.postgres_connection import PostgresConnection
from index.postgres_errors import server_errors
from tests.postgres import count_up, new_collection, revision, undone


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ("53100", GalleryFullError, "no room left"),
        ("53300", GalleryUnavailableError, "no memory or no connections"),
        ("40001", GalleryUnavailableError, "at the same moment"),
        ("40P01", GalleryUnavailableError, "at the same moment"),
        ("25006", GalleryUnavailableError, "takes no writes"),
        ("57P01", GalleryUnavailableError, "stopping or starting"),
        ("57014", GalleryUnavailableError, "took longer"),
        ("08006", GalleryUnavailableError, "lost its connection"),
        ("58030", GalleryUnavailableError, "fault of its storage"),
        ("XX001", GalleryUnavailableError, "damage"),
        ("22003", ValueError, "does not take"),
        ("42601", psycopg.errors.SyntaxError, "raised"),
    ],
)
def test_what_the_server_may_do_to_us_is_told_in_words(
    database: PostgresDatabase, state: str, kind: type[Exception], words: str
) -> None:
    sql = f"DO $$ BEGIN RAISE EXCEPTION 'raised' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(kind, match=words) as caught, database.writing() as c:
        c.execute(sql)
    assert type(caught.value) is kind


def test_a_statement_and_a_wait_have_an_end(postgres_dsn: str) -> None:
    database = PostgresDatabase.open(postgres_dsn, statement_timeout_s=0.2)
    with database.writing() as c:
        collection, _ = new_collection(c)
    with pytest.raises(GalleryUnavailableError, match="took longer"), database.reading() as c:
        c.execute("SELECT pg_sleep(20)")
    with database.writing() as holder:
        count_up(holder, collection)
        with pytest.raises(GalleryUnavailableError, match="took longer"):
            undone(database, lambda c: count_up(c, collection))
    assert revision(database, collection) == 1

    def hang(c: PostgresConnection) -> None:
        count_up(c, collection)
        time.sleep(0.8)

    # A replica that hangs in a transaction is made to let go of what it holds.
    with pytest.raises(GalleryUnavailableError, match="gave up on us"):
        undone(database, hang)
    assert revision(database, collection) == 1
    database.close()


def test_connections_in_use_are_bounded(postgres_dsn: str) -> None:
    database = PostgresDatabase.open(postgres_dsn, max_connections=1, connect_timeout_s=0.2)
    with database.reading(), pytest.raises(GalleryUnavailableError, match=r"All 1 conn.* 0\.2 s"):
        undone(database, lambda c: None)
    with database.reading() as c:
        assert c.execute("SELECT 1") == [(1,)]
        database.close()
        assert c.execute("SELECT 1") == [(1,)]
    with pytest.raises(GalleryUnavailableError, match="is closed"), database.reading():
        pass


def end_sessions(dsn: str) -> None:
    """Let the server end all sessions in a database."""
    with psycopg.connect(dsn) as c:
        c.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_lost_connection_is_replaced_before_anything_was_said_over_it(
    database: PostgresDatabase, postgres_dsn: str
) -> None:
    with database.writing() as c:
        collection, _ = new_collection(c)
    with database.reading(), database.reading(), database.reading():
        pass  # Three connections.
    end_sessions(postgres_dsn)
    assert revision(database, collection) == 0
    with database.writing() as c:
        assert count_up(c, collection) == 1

    # Lost in the middle: told, undone, and not tried again behind our back.
    def lose(c: PostgresConnection) -> None:
        count_up(c, collection)
        end_sessions(postgres_dsn)

    def lose_and_go_on(c: PostgresConnection) -> None:
        lose(c)
        c.execute("SELECT 1")

    with pytest.raises(GalleryUnavailableError):
        undone(database, lose_and_go_on)
    assert revision(database, collection) == 1
    with pytest.raises(GalleryUnavailableError, match="stored is not known"):
        undone(database, lose)
    assert revision(database, collection) == 1
    with database.reading() as c:
        stream = c.stream("SELECT n FROM generate_series(1, 100000) n")
        next(stream)
        end_sessions(postgres_dsn)
        with pytest.raises(GalleryUnavailableError):
            next(stream)


def test_a_server_that_is_down_is_told_at_once_and_used_again_at_once(
    database: PostgresDatabase, postgres_server: PostgresServer
) -> None:
    with database.writing() as c:
        collection, _ = new_collection(c)
        count_up(c, collection)
    postgres_server.kill9()
    try:
        for _ in range(3):
            start = time.monotonic()
            with pytest.raises(GalleryUnavailableError, match=r"cannot be reached.*oneglance-pg"):
                revision(database, collection)
            assert time.monotonic() - start < 1.0
    finally:
        postgres_server.start()
    assert revision(database, collection) == 1


def test_errors_of_ours_are_not_called_the_servers() -> None:
    with pytest.raises(psycopg.ProgrammingError), server_errors("place"):
        raise psycopg.ProgrammingError("the query has 1 placeholder but 0 were passed")
