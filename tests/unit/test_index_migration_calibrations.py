"""Galleries from before there were calibrations open with all that was in them."""

import threading
from pathlib import Path

import apsw
import psycopg
import pytest

from contract.errors import GalleryUnavailableError
from index import postgres_schema, sqlite_schema
from index.gallery import Gallery
from index.postgres import PostgresDatabase
from tests.conftest import CONTRACT
from tests.old_galleries import AT, ROWS, make_file_version_2, make_postgres_version_1, old_gallery


@pytest.fixture(params=["file", "postgres"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A gallery as the release before left it."""
    return old_gallery(request, tmp_path, file=2, postgres=1)


def test_it_opens_with_all_that_was_in_it_and_takes_a_calibration(old: Path | str) -> None:
    with Gallery.open(old, CONTRACT) as gallery:
        assert (gallery.revision, gallery.subject_count, gallery.template_count) == (7, 1, 2)
        assert gallery.subject("ann").name == "Ann"
        for n in range(2):
            (best,) = gallery.search(ROWS[n][None], top_k=1).candidates[0]
            assert (best.template_id, best.similarity) == (f"t{n}", 1.0)
        assert gallery.calibration() is None
        gallery.set_calibration("{}", contract_id="test:a", made_at=AT)
        gallery.verify()
    with Gallery.open(old, CONTRACT) as gallery:
        stored = gallery.calibration()
        assert stored is not None
        assert (stored.record, gallery.revision) == ("{}", 8)
        gallery.verify()


def test_a_file_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    make_file_version_2(tmp_path / "old.db")
    schemas = []
    for name in ("old.db", "new.db"):
        Gallery.open(tmp_path / name, CONTRACT).close()
        connection = apsw.Connection(str(tmp_path / name))
        rows = connection.execute("SELECT type, name, tbl_name FROM sqlite_schema")
        schemas.append(set(rows))
        assert connection.pragma("user_version") == sqlite_schema.SCHEMA_VERSION
        connection.close()
    assert schemas[0] == schemas[1]


def test_a_database_has_the_tables_of_a_new_one(postgres_server: object) -> None:
    schemas = []
    for older in (True, False):
        dsn = postgres_server.create_database()  # type: ignore[attr-defined]
        if older:
            make_postgres_version_1(dsn)
        PostgresDatabase.open(dsn).close()
        with psycopg.connect(dsn) as connection:
            columns = connection.execute(
                "SELECT table_name, column_name, data_type, is_nullable, is_identity,"
                " collation_name FROM information_schema.columns"
                " WHERE table_schema = 'public' ORDER BY 1, 2"
            ).fetchall()
            constraints = connection.execute(
                "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
            ).fetchall()
            version = connection.execute("SELECT version FROM schema_version").fetchall()
        schemas.append((columns, constraints, version))
    assert schemas[0] == schemas[1]
    assert schemas[0][2] == [(postgres_schema.SCHEMA_VERSION,)]


def test_replicas_that_start_at_once_bring_a_database_up_to_date_once(postgres_dsn: str) -> None:
    make_postgres_version_1(postgres_dsn)
    barrier = threading.Barrier(4)
    opened: list[PostgresDatabase] = []

    def open_one() -> None:
        barrier.wait()
        opened.append(PostgresDatabase.open(postgres_dsn))

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    with opened[0].reading() as c:
        assert c.execute("SELECT application, version FROM schema_version") == [
            ("oneglance", postgres_schema.SCHEMA_VERSION)
        ]
    for database in opened:
        database.close()


def test_a_damaged_older_database_is_refused_and_left_alone(postgres_dsn: str) -> None:
    make_postgres_version_1(postgres_dsn)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute("DROP TABLE crops")
    with pytest.raises(GalleryUnavailableError, match="there is no table crops"):
        PostgresDatabase.open(postgres_dsn)
    with psycopg.connect(postgres_dsn) as connection:
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(1,)]


def test_a_migration_that_fails_leaves_a_database_as_it_was(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_postgres_version_1(postgres_dsn)
    broken = postgres_schema._STEPS[2] + "INSERT INTO nowhere VALUES (1)"
    with monkeypatch.context() as patch:
        patch.setitem(postgres_schema._STEPS, 2, broken)
        with pytest.raises(GalleryUnavailableError, match="nowhere"):
            PostgresDatabase.open(postgres_dsn)
    with psycopg.connect(postgres_dsn) as connection:
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(1,)]
        sql = "SELECT count(*) FROM pg_class WHERE relname = 'calibrations'"
        assert connection.execute(sql).fetchall() == [(0,)]
    with Gallery.open(postgres_dsn, CONTRACT) as gallery:
        assert gallery.revision == 7
