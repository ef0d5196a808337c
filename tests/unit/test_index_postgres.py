"""The database layer on a real PostgreSQL: values bit by bit, transactions."""

import threading
from collections.abc import Iterator

import numpy as np
import psycopg
import pytest

from benchmarks.postgres_server import PostgresServer
from contract.errors import GalleryError, GalleryUnavailableError
from index.postgres import PostgresDatabase
from index.postgres_connection import PostgresConnection
from tests.postgres import count_up, insert, new_collection, revision, undone


@pytest.fixture(scope="module")
def shared(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    """One for all tests that leave nothing behind which another could see."""
    opened = PostgresDatabase.open(postgres_server.create_database())
    yield opened
    opened.close()


@pytest.mark.parametrize("size", [1, 4, 128, 513, 4_096])
def test_embeddings_come_back_bit_for_bit(shared: PostgresDatabase, size: int) -> None:
    given = np.random.default_rng(size).standard_normal((50, size)).astype(np.float32)
    odd = [-0.0, 0.0, 1e-45, -1e-45, 1.17e-38, 3.4e38, -3.4e38, 1 / 3, 65504.0]
    given.reshape(-1)[: len(odd)] = odd
    with shared.writing() as c:
        collection, contract = new_collection(c, f"size-{size}", size)
        facts = {"collection_number": collection, "created_at": "t"}
        subject = insert(c, "subjects", id="ann", metadata="{}", **facts)
        for i, row in enumerate(given):
            insert(
                c,
                "templates",
                id=f"{size}-{i}",
                subject_number=subject,
                contract_number=contract,
                embedding=c.pack(row),
                **facts,
            )
    sql = "SELECT embedding FROM templates WHERE collection_number = ? ORDER BY number"
    with shared.reading() as c:
        key = (collection,)
        values = c.execute(sql, key)
        back = c.unpack([row[0] for row in values], size=size)
        streamed = list(c.stream(sql, key))
        assert c.unpack([row[0] for rows in streamed for row in rows], size=size).tobytes() == (
            given.tobytes()
        )
        assert c.unpack([], size=size).shape == (0, size)
        with pytest.raises(GalleryUnavailableError, match="not the length"):
            c.unpack([values[0][0]], size=size + 1)
        broken = bytearray(values[0][0])
        broken[4:8] = b"\x7f\xc0\x00\x00"
        with pytest.raises(GalleryUnavailableError, match="not finite"):
            c.unpack([bytes(broken)], size=size)
    assert (back.dtype, back.shape) == (np.float32, given.shape)
    assert back.tobytes() == given.tobytes()


def test_values_mean_what_they_mean_to_sqlite(database: PostgresDatabase) -> None:
    texts = ["plain", "O'Brien", "100 %", "%s", "Zoë 🙂", "\\", "", "a\nb"]
    with database.writing() as c:
        for text in texts:
            assert c.execute("SELECT ? || ''", (text,)) == [(text,)]
        assert c.execute("SELECT ? + true::int::bigint, ? + 0", (1, True)) == [(2, 1)]
        assert c.execute("SELECT ? / 4, ?::bytea", (0.5, b"\x00\xff")) == [(0.125, b"\x00\xff")]
        assert c.execute("SELECT 7 % 4 WHERE ?::text IS NULL", (None,)) == [(3,)]
        # Byte by byte, as in SQLite: capitals first, and no language's rules.
        for name in ("b", "B", "a", "é", "Z"):
            new_collection(c, name)
        ids = c.execute("SELECT id FROM collections ORDER BY id")
        assert [row[0] for row in ids] == ["B", "Z", "a", "b", "é"]
        assert c.execute("DELETE FROM collections") == []
    with database.reading() as c, pytest.raises(ValueError, match="PostgreSQL does not take"):
        c.execute("SELECT number FROM subjects WHERE id = ?", ("a\0b",))


def test_a_large_answer_streams_from_the_server(shared: PostgresDatabase) -> None:
    with shared.reading() as c:
        sizes, last = [], 0
        for rows in c.stream("SELECT n FROM generate_series(1, ?) n", (10_000,)):
            sizes.append(len(rows))
            assert rows[0][0] == last + 1
            last = rows[-1][0]
        assert (last, sum(sizes), max(sizes)) == (10_000, 10_000, 4_096)
        # Left off early, beside another one, and over an error.
        first = c.stream("SELECT n FROM generate_series(1, 10000) n")
        assert len(next(first)) == 4_096
        assert len(list(c.stream("SELECT n FROM generate_series(1, 5000) n"))) == 2
        first.close()
        assert c.execute("SELECT 1") == [(1,)]


def test_numbers_are_never_given_out_twice(database: PostgresDatabase) -> None:
    with database.writing() as c:
        first, _ = new_collection(c, "a")
        c.execute("DELETE FROM collections")
    taken = []

    def fail(c: PostgresConnection) -> None:
        taken.append(new_collection(c, "b")[0])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        undone(database, fail)
    with database.writing() as c:
        assert new_collection(c, "c")[0] > taken[0] > first
    with (
        pytest.raises(psycopg.errors.GeneratedAlways),
        database.writing() as c,
    ):
        insert(c, "contracts", number=1, id="x", embedding_size=1, d_max=1.0)


def test_a_reader_sees_one_state_and_may_not_write(database: PostgresDatabase) -> None:
    with database.writing() as c:
        collection, _ = new_collection(c)
    with database.reading() as reader:
        sql = "SELECT revision FROM collections"
        assert reader.execute(sql) == [(0,)]
        with database.writing() as writer:
            assert count_up(writer, collection) == 1
        assert reader.execute(sql) == [(0,)]
        with pytest.raises(GalleryUnavailableError, match="takes no writes"):
            count_up(reader, collection)
    assert revision(database, collection) == 1


def test_a_write_that_raises_is_undone_and_the_connection_goes_on(
    database: PostgresDatabase,
) -> None:
    with database.writing() as c:
        collection, _ = new_collection(c)
    for error in (GalleryError("no"), ValueError("no"), KeyboardInterrupt()):

        def fail(c: PostgresConnection, error: BaseException = error) -> None:
            count_up(c, collection)
            raise error

        with pytest.raises(type(error)):
            undone(database, fail)
    assert revision(database, collection) == 0
    # All of it over one connection.
    with database.reading() as c:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        assert c.execute(sql) == [(1,)]


def test_a_write_that_swallowed_an_error_is_not_called_durable(database: PostgresDatabase) -> None:
    def swallow(c: PostgresConnection) -> None:
        new_collection(c)
        with pytest.raises(psycopg.errors.UndefinedFunction):
            c.execute("SELECT no_such_function()")

    with pytest.raises(GalleryUnavailableError, match="undid"):
        undone(database, swallow)
    with database.reading() as c:
        assert c.execute("SELECT number FROM collections") == []


def test_a_savepoint_is_undone_alone(database: PostgresDatabase) -> None:
    def part(c: PostgresConnection, sql: str) -> None:
        with c.savepoint():
            count_up(c, collection)
            c.execute(sql)
            raise ValueError("mine")

    with database.writing() as c:
        collection, _ = new_collection(c)
        with c.savepoint():
            count_up(c, collection)
            with pytest.raises(psycopg.errors.UndefinedFunction):
                part(c, "SELECT no_such_function()")
            with pytest.raises(ValueError, match="mine"):
                part(c, "SELECT 1")
        with pytest.raises(GalleryUnavailableError, match="at the same moment"):
            part(
                c,
                "INSERT INTO contracts (id, embedding_size, d_max) SELECT id, 1, 1 FROM contracts",
            )
    assert revision(database, collection) == 1


def test_writers_of_a_collection_take_turns(postgres_dsn: str) -> None:
    replicas = [PostgresDatabase.open(postgres_dsn) for _ in range(3)]
    with replicas[0].writing() as c:
        collection, _ = new_collection(c)
    seen: list[int] = []

    def write(replica: PostgresDatabase) -> None:
        for _ in range(20):
            with replica.writing() as c:
                seen.append(count_up(c, collection))  # While the row's lock is held.

    threads = [threading.Thread(target=write, args=(r,)) for r in replicas for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == list(range(1, 121))
    for replica in replicas:
        assert revision(replica, collection) == 120
        replica.close()


def test_commits_wait_for_the_disk_whatever_the_database_says(postgres_dsn: str) -> None:
    with psycopg.connect(postgres_dsn, autocommit=True) as c:
        c.execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off',"
                  " current_database()); END $$")  # fmt: skip
    database = PostgresDatabase.open(postgres_dsn)
    with database.writing() as connection:
        assert connection.execute("SHOW synchronous_commit") == [("on",)]
        assert connection.execute("SHOW fsync") == [("on",)]
    database.close()
