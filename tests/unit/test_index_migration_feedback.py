"""Galleries from before there was feedback open with all that was in them."""

from pathlib import Path

import apsw
import psycopg
import pytest

from index import postgres_schema, sqlite_schema
from index.feedback import feedback_page, give_feedback
from index.gallery import Gallery
from tests.conftest import CONTRACT
from tests.unit.test_index_feedback import told
from tests.unit.test_index_migration_calibrations import (
    make_file_version_2,
    make_postgres_version_1,
)

# What the versions before had more than those that are made there, as it was released: never to be
# changed.
FILE_VERSION_4 = """
CREATE TABLE calibrations (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_number INTEGER NOT NULL UNIQUE REFERENCES collections (number) ON DELETE CASCADE,
    contract_number INTEGER NOT NULL REFERENCES contracts (number),
    made_at TEXT NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX subjects_by_name ON subjects (collection_number, name, number)
    WHERE name IS NOT NULL;
INSERT INTO calibrations (collection_number, contract_number, made_at, record)
    VALUES (1, 1, '2026-01-02T03:04:05.000Z', '{"n":1}');
PRAGMA user_version = 4;
"""
POSTGRES_VERSION_3 = """
CREATE TABLE calibrations (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection_number bigint NOT NULL UNIQUE REFERENCES collections (number) ON DELETE CASCADE,
    contract_number bigint NOT NULL REFERENCES contracts (number),
    made_at text COLLATE "C" NOT NULL,
    record text COLLATE "C" NOT NULL
);
CREATE INDEX subjects_by_name ON subjects (collection_number, name, number)
    WHERE name IS NOT NULL;
INSERT INTO calibrations (collection_number, contract_number, made_at, record)
    VALUES (1, 1, '2026-01-02T03:04:05.000Z', '{"n":1}');
UPDATE schema_version SET version = 3;
"""


@pytest.fixture(params=["file", "postgres"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A gallery as the release before left it."""
    if request.param == "file":
        path = tmp_path / "g.db"
        make_file_version_2(path)
        connection = apsw.Connection(str(path))
        connection.execute(FILE_VERSION_4)
        connection.close()
        return path
    dsn: str = request.getfixturevalue("postgres_dsn")
    make_postgres_version_1(dsn)
    with psycopg.connect(dsn, autocommit=True) as server:
        server.execute(POSTGRES_VERSION_3.encode())
    return dsn


def version(of: Path | str) -> int:
    if isinstance(of, Path):
        connection = apsw.Connection(str(of))
        found = int(connection.pragma("user_version"))
        connection.close()
        return found
    with psycopg.connect(of) as server:
        return int(server.execute("SELECT version FROM schema_version").fetchall()[0][0])


def test_it_opens_with_all_that_was_in_it_and_takes_feedback(old: Path | str) -> None:
    assert version(old) == (4 if isinstance(old, Path) else 3)
    with Gallery.open(old, CONTRACT) as gallery:
        assert (gallery.revision, gallery.subject_count, gallery.template_count) == (7, 1, 2)
        calibration = gallery.calibration()
        assert calibration is not None
        assert calibration.record == '{"n":1}'
        assert feedback_page(gallery, limit=1).feedback == ()
        said, is_new = give_feedback(gallery, told(1, other_id=None), most=10)
        assert is_new
        gallery.verify()
    current = sqlite_schema.SCHEMA_VERSION
    assert version(old) == (current if isinstance(old, Path) else postgres_schema.SCHEMA_VERSION)
    with Gallery.open(old, CONTRACT) as gallery:
        assert feedback_page(gallery, limit=1).feedback == (said,)
        gallery.remove_subject("ann")
        assert feedback_page(gallery, limit=1).feedback == ()
        gallery.verify()
