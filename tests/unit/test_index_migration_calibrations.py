"""Galleries from before there were calibrations open with all that was in them."""

import threading
from pathlib import Path

import apsw
import numpy as np
import psycopg
import pytest

from contract.errors import GalleryUnavailableError
from index import postgres_schema, sqlite_schema
from index.gallery import Gallery
from index.postgres import PostgresDatabase
from tests.conftest import CONTRACT

# As they were released: never to be changed.
FILE_VERSION_2 = """
CREATE TABLE contracts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    embedding_size INTEGER NOT NULL CHECK (embedding_size > 0),
    d_max REAL NOT NULL CHECK (d_max > 0)
) STRICT;
CREATE TABLE collections (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    contract_number INTEGER NOT NULL REFERENCES contracts (number),
    next_contract_number INTEGER REFERENCES contracts (number),
    former_contract_number INTEGER REFERENCES contracts (number),
    revision INTEGER NOT NULL CHECK (revision >= 0),
    subject_count INTEGER NOT NULL CHECK (subject_count >= 0),
    template_count INTEGER NOT NULL CHECK (template_count >= 0),
    created_at TEXT NOT NULL
) STRICT;
CREATE TABLE subjects (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_number INTEGER NOT NULL REFERENCES collections (number) ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT,
    external_id TEXT,
    metadata TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    consent_ref TEXT,
    UNIQUE (collection_number, id),
    UNIQUE (collection_number, external_id)
) STRICT;
CREATE INDEX subjects_by_expiry ON subjects (collection_number, expires_at)
    WHERE expires_at IS NOT NULL;
CREATE TABLE templates (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    collection_number INTEGER NOT NULL REFERENCES collections (number) ON DELETE CASCADE,
    subject_number INTEGER NOT NULL REFERENCES subjects (number) ON DELETE CASCADE,
    contract_number INTEGER NOT NULL REFERENCES contracts (number),
    created_at TEXT NOT NULL,
    embedding BLOB NOT NULL,
    UNIQUE (id, contract_number)
) STRICT;
CREATE INDEX templates_of_subject ON templates (subject_number);
CREATE INDEX templates_of_collection ON templates (collection_number, contract_number);
CREATE TABLE crops (
    template_id TEXT PRIMARY KEY NOT NULL,
    subject_number INTEGER NOT NULL REFERENCES subjects (number) ON DELETE CASCADE,
    image BLOB NOT NULL
) STRICT;
CREATE INDEX crops_of_subject ON crops (subject_number);
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    collection_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    action TEXT NOT NULL,
    subject_id TEXT,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX audit_of_subject ON audit (collection_id, subject_id);
PRAGMA application_id = 1332634951;
PRAGMA user_version = 2;
"""
POSTGRES_VERSION_1 = """
CREATE TABLE schema_version (application text NOT NULL, version bigint NOT NULL);
CREATE TABLE contracts (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    embedding_size bigint NOT NULL CHECK (embedding_size > 0),
    d_max double precision NOT NULL CHECK (d_max > 0)
);
CREATE TABLE collections (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    contract_number bigint NOT NULL REFERENCES contracts (number),
    next_contract_number bigint REFERENCES contracts (number),
    former_contract_number bigint REFERENCES contracts (number),
    revision bigint NOT NULL CHECK (revision >= 0),
    subject_count bigint NOT NULL CHECK (subject_count >= 0),
    template_count bigint NOT NULL CHECK (template_count >= 0),
    created_at text COLLATE "C" NOT NULL
);
CREATE TABLE subjects (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection_number bigint NOT NULL REFERENCES collections (number) ON DELETE CASCADE,
    id text COLLATE "C" NOT NULL,
    name text COLLATE "C",
    external_id text COLLATE "C",
    metadata text COLLATE "C" NOT NULL,
    created_at text COLLATE "C" NOT NULL,
    expires_at text COLLATE "C",
    consent_ref text COLLATE "C",
    UNIQUE (collection_number, id),
    UNIQUE (collection_number, external_id)
);
CREATE INDEX subjects_by_expiry ON subjects (collection_number, expires_at)
    WHERE expires_at IS NOT NULL;
CREATE TABLE templates (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL,
    collection_number bigint NOT NULL REFERENCES collections (number) ON DELETE CASCADE,
    subject_number bigint NOT NULL REFERENCES subjects (number) ON DELETE CASCADE,
    contract_number bigint NOT NULL REFERENCES contracts (number),
    created_at text COLLATE "C" NOT NULL,
    embedding vector NOT NULL,
    UNIQUE (id, contract_number)
) WITH (toast_tuple_target = 8160);
CREATE INDEX templates_of_subject ON templates (subject_number);
CREATE INDEX templates_of_collection ON templates (collection_number, contract_number);
CREATE TABLE crops (
    template_id text COLLATE "C" PRIMARY KEY,
    subject_number bigint NOT NULL REFERENCES subjects (number) ON DELETE CASCADE,
    image bytea NOT NULL
);
CREATE INDEX crops_of_subject ON crops (subject_number);
CREATE TABLE audit (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at text COLLATE "C" NOT NULL,
    collection_id text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    action text COLLATE "C" NOT NULL,
    subject_id text COLLATE "C",
    detail text COLLATE "C" NOT NULL
);
CREATE INDEX audit_of_subject ON audit (collection_id, subject_id);
INSERT INTO schema_version VALUES ('oneglance', 1);
"""
ROWS = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)
AT = "2025-01-02T03:04:05.678Z"
CONTENT = f"""
INSERT INTO contracts (id, embedding_size, d_max) VALUES ('test:a', 4, 2.0);
INSERT INTO collections
    (id, contract_number, revision, subject_count, template_count, created_at)
    VALUES ('default', 1, 7, 1, 2, '{AT}');
INSERT INTO subjects (collection_number, id, name, metadata, created_at)
    VALUES (1, 'ann', 'Ann', '{{}}', '{AT}');
INSERT INTO audit (at, collection_id, revision, action, subject_id, detail)
    VALUES ('{AT}', 'default', 7, 'enrol', 'ann', '{{}}');
"""
TEMPLATE = (
    "INSERT INTO templates"
    " (id, collection_number, subject_number, contract_number, created_at, embedding)"
)


def make_file_version_2(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.execute(FILE_VERSION_2)
    connection.execute(CONTENT)
    for n in range(2):
        sql = f"{TEMPLATE} VALUES (?, 1, 1, 1, ?, ?)"
        connection.execute(sql, (f"t{n}", AT, ROWS[n].tobytes()))
    connection.close()


def make_postgres_version_1(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute(POSTGRES_VERSION_1.encode())
        connection.execute(CONTENT.encode())
        for n in range(2):
            sql = f"{TEMPLATE} VALUES (%s, 1, 1, 1, %s, %s::float4[]::vector)"
            connection.execute(sql.encode(), (f"t{n}", AT, ROWS[n].tolist()))


@pytest.fixture(params=["file", "postgres"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A gallery as the release before left it."""
    if request.param == "file":
        make_file_version_2(tmp_path / "g.db")
        return tmp_path / "g.db"
    dsn: str = request.getfixturevalue("postgres_dsn")
    make_postgres_version_1(dsn)
    return dsn


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
