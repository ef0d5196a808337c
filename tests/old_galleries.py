"""Galleries as older releases left them, in a file and in PostgreSQL: one of two templates."""

from pathlib import Path

import apsw
import numpy as np
import psycopg
import pytest

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
# What each version had more than the one before.
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
FILE_STEPS = {4: FILE_VERSION_4, 5: FILE_VERSION_5}
POSTGRES_STEPS = {3: POSTGRES_VERSION_3, 4: POSTGRES_VERSION_4}


def make_file_version_2(path: Path) -> None:
    """The oldest of these files."""
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.execute(FILE_VERSION_2)
    connection.execute(CONTENT)
    for n in range(2):
        sql = f"{TEMPLATE} VALUES (?, 1, 1, 1, ?, ?)"
        connection.execute(sql, (f"t{n}", AT, ROWS[n].tobytes()))
    connection.close()


def make_postgres_version_1(dsn: str) -> None:
    """The oldest database."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute(POSTGRES_VERSION_1.encode())
        connection.execute(CONTENT.encode())
        for n in range(2):
            sql = f"{TEMPLATE} VALUES (%s, 1, 1, 1, %s, %s::float4[]::vector)"
            connection.execute(sql.encode(), (f"t{n}", AT, ROWS[n].tolist()))


def old_gallery(
    request: pytest.FixtureRequest, folder: Path, *, file: int, postgres: int
) -> Path | str:
    """A gallery of that version of a file, or of PostgreSQL, as the fixture's parameter says."""
    if request.param == "file":
        path = folder / "g.db"
        make_file_version_2(path)
        connection = apsw.Connection(str(path))
        for number, step in FILE_STEPS.items():
            if number <= file:
                connection.execute(step)
        connection.close()
        return path
    dsn: str = request.getfixturevalue("postgres_dsn")
    make_postgres_version_1(dsn)
    with psycopg.connect(dsn, autocommit=True) as server:
        for number, step in POSTGRES_STEPS.items():
            if number <= postgres:
                server.execute(step.encode())
    return dsn


def version(of: Path | str) -> int:
    """Of the tables there are now."""
    if isinstance(of, Path):
        connection = apsw.Connection(str(of))
        found = int(connection.pragma("user_version"))
        connection.close()
        return found
    with psycopg.connect(of) as server:
        return int(server.execute("SELECT version FROM schema_version").fetchall()[0][0])
