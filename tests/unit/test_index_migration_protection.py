"""Galleries from before templates were protected open with all that was in them, and can be."""

from pathlib import Path

import apsw
import psycopg
import pytest

from index import postgres_schema, sqlite_schema
from index.gallery import Gallery
from index.protection.secrets import GallerySecrets
from tests.conftest import CONTRACT, UNIT
from tests.protected import rekey
from tests.unit.test_index_migration_calibrations import (
    make_file_version_2,
    make_postgres_version_1,
)
from tests.unit.test_index_migration_feedback import FILE_VERSION_4, POSTGRES_VERSION_3, version

# What the versions before had more than those that are made there, as it was released: never to be
# changed.
FILE_VERSION_5 = """
CREATE TABLE feedback (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    collection_number INTEGER NOT NULL REFERENCES collections (number) ON DELETE CASCADE,
    contract_number INTEGER NOT NULL REFERENCES contracts (number),
    verdict TEXT NOT NULL CHECK (verdict IN ('confirmed', 'rejected')),
    -- Whom the verdict is about, and the best of those whom the face does not show.
    subject_number INTEGER NOT NULL REFERENCES subjects (number) ON DELETE CASCADE,
    other_number INTEGER REFERENCES subjects (number) ON DELETE CASCADE,
    subject_similarity REAL,
    other_similarity REAL,
    answered TEXT NOT NULL,
    scoring TEXT NOT NULL,
    gallery_subjects INTEGER NOT NULL CHECK (gallery_subjects >= 0),
    gallery_templates INTEGER NOT NULL CHECK (gallery_templates >= 0),
    gallery_revision INTEGER NOT NULL CHECK (gallery_revision >= 0),
    searched_at TEXT NOT NULL,
    given_at TEXT NOT NULL,
    UNIQUE (collection_number, id)
) STRICT;
CREATE INDEX feedback_of_collection ON feedback (collection_number, number);
CREATE INDEX feedback_of_subject ON feedback (subject_number);
CREATE INDEX feedback_of_other ON feedback (other_number);

CREATE TABLE api_keys (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    scopes TEXT NOT NULL,
    collections TEXT,
    created_at TEXT NOT NULL,
    expires_at TEXT
) STRICT;
PRAGMA user_version = 5;
"""
POSTGRES_VERSION_4 = """
CREATE TABLE feedback (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL,
    collection_number bigint NOT NULL REFERENCES collections (number) ON DELETE CASCADE,
    contract_number bigint NOT NULL REFERENCES contracts (number),
    verdict text COLLATE "C" NOT NULL CHECK (verdict IN ('confirmed', 'rejected')),
    subject_number bigint NOT NULL REFERENCES subjects (number) ON DELETE CASCADE,
    other_number bigint REFERENCES subjects (number) ON DELETE CASCADE,
    subject_similarity double precision,
    other_similarity double precision,
    answered text COLLATE "C" NOT NULL,
    scoring text COLLATE "C" NOT NULL,
    gallery_subjects bigint NOT NULL CHECK (gallery_subjects >= 0),
    gallery_templates bigint NOT NULL CHECK (gallery_templates >= 0),
    gallery_revision bigint NOT NULL CHECK (gallery_revision >= 0),
    searched_at text COLLATE "C" NOT NULL,
    given_at text COLLATE "C" NOT NULL,
    UNIQUE (collection_number, id)
);
CREATE INDEX feedback_of_collection ON feedback (collection_number, number);
CREATE INDEX feedback_of_subject ON feedback (subject_number);
CREATE INDEX feedback_of_other ON feedback (other_number);

CREATE TABLE api_keys (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    name text COLLATE "C" NOT NULL,
    sha256 text COLLATE "C" NOT NULL CHECK (length(sha256) = 64),
    scopes text COLLATE "C" NOT NULL,
    collections text COLLATE "C",
    created_at text COLLATE "C" NOT NULL,
    expires_at text COLLATE "C"
);
UPDATE schema_version SET version = 4;
"""


@pytest.fixture(params=["file", "postgres"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A gallery as the release before left it."""
    if request.param == "file":
        path = tmp_path / "g.db"
        make_file_version_2(path)
        connection = apsw.Connection(str(path))
        connection.execute(FILE_VERSION_4)
        connection.execute(FILE_VERSION_5)
        connection.close()
        return path
    dsn: str = request.getfixturevalue("postgres_dsn")
    make_postgres_version_1(dsn)
    with psycopg.connect(dsn, autocommit=True) as server:
        server.execute(POSTGRES_VERSION_3.encode())
        server.execute(POSTGRES_VERSION_4.encode())
    return dsn


def numbers(gallery: Gallery) -> list[tuple[object, ...]]:
    with gallery.galleries.database.reading() as c:
        return c.execute(
            "SELECT k.number, k.id, k.protection, c.id FROM contracts k"
            " LEFT JOIN collections c ON c.contract_number = k.number ORDER BY k.number"
        )


def test_it_opens_unprotected_with_all_that_was_in_it_and_can_be_protected(
    old: Path | str, tmp_path: Path
) -> None:
    assert version(old) == (5 if isinstance(old, Path) else 4)
    secrets = GallerySecrets(tmp_path / "g.secret")
    with Gallery.open(old, CONTRACT, secrets=secrets) as gallery:
        assert (gallery.revision, gallery.subject_count, gallery.template_count) == (7, 1, 2)
        assert numbers(gallery) == [(1, CONTRACT.id, "", "default")]
        assert not secrets.path.exists()
        calibration = gallery.calibration()
        assert calibration is not None
        assert (calibration.record, calibration.contract_id) == ('{"n":1}', CONTRACT.id)
        before = gallery.search(UNIT[:1], top_k=1).candidates[0][0]
        gallery.verify()
        rekey(gallery)
        after = gallery.search(UNIT[:1], top_k=1).candidates[0][0]
        assert (after.subject, after.template_id) == (before.subject, before.template_id)
        assert after.similarity == pytest.approx(before.similarity, abs=1e-6)
        # A calibration is of similarities, which are what they were.
        assert gallery.calibration() == calibration
        (first, second) = numbers(gallery)
        assert first == (1, CONTRACT.id, "", None)
        assert (second[1], second[3]) == (CONTRACT.id, "default")
        gallery.verify()
    current = sqlite_schema.SCHEMA_VERSION
    assert version(old) == (current if isinstance(old, Path) else postgres_schema.SCHEMA_VERSION)
