"""The tables of a gallery file, how a file is told to be one, and how older ones become current.

`application_id` says that the file is ours, `user_version` which schema it has. A file is made,
and brought to the current schema, in one transaction: whole or as it was.
"""

from pathlib import Path
from typing import Final

import apsw

from contract.errors import GalleryError, GalleryUnavailableError
from index.sqlite_errors import damaged

APPLICATION_ID: Final = 0x4F6E6547  # "OneG"
SCHEMA_VERSION: Final = 6

# AUTOINCREMENT: a number is never given out again, so a late reference cannot hit another row.
# Embeddings: float32, little-endian, D of them. Times: RFC 3339, UTC.
_CREATE_2: Final = """
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
    -- Of a re-embedding: what is being built, and what was left and can be gone back to.
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
    -- The same template under another contract is the same photo, embedded anew.
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
-- What was done to whom, without names or embeddings; outlives its subject and its collection.
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
"""
# What a collection's own templates say about its error rates: the latest, made anew at any time.
_CALIBRATIONS: Final = """
CREATE TABLE calibrations (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_number INTEGER NOT NULL UNIQUE REFERENCES collections (number) ON DELETE CASCADE,
    contract_number INTEGER NOT NULL REFERENCES contracts (number),
    made_at TEXT NOT NULL,
    record TEXT NOT NULL
) STRICT;
"""
# Who is called so, in the order of their creation.
_NAMES: Final = """
CREATE INDEX subjects_by_name ON subjects (collection_number, name, number)
    WHERE name IS NOT NULL;
"""
# What people said of answers: scores, no embedding, and nothing of a subject that is removed.
_FEEDBACK: Final = """
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
"""
# Who may ask the service: of a key only what tells it, never the key itself.
_API_KEYS: Final = """
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
"""
# The same embeddings turned by another secret are another generation of templates.
_PROTECTION: Final = """
CREATE TABLE contracts_6 (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    embedding_size INTEGER NOT NULL CHECK (embedding_size > 0),
    d_max REAL NOT NULL CHECK (d_max > 0),
    -- See index/protection/label.py; of a secret only what tells it.
    protection TEXT NOT NULL DEFAULT '',
    UNIQUE (id, protection)
) STRICT;
INSERT INTO contracts_6 (number, id, embedding_size, d_max)
    SELECT number, id, embedding_size, d_max FROM contracts ORDER BY number;
DROP TABLE contracts;
ALTER TABLE contracts_6 RENAME TO contracts;
"""
# One chain through all collections: each entry has a place in it, its own hash and that of the one
# before. Entries have none until the end of their transaction. audit_head is the newest, and what
# writers wait for.
_AUDIT_CHAIN: Final = """
ALTER TABLE audit RENAME TO audit_5;
DROP INDEX audit_of_subject;
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    place INTEGER UNIQUE,
    at TEXT NOT NULL,
    collection_id TEXT,
    revision INTEGER,
    action TEXT NOT NULL,
    subject_id TEXT,
    detail TEXT NOT NULL,
    previous_sha256 TEXT,
    sha256 TEXT
) STRICT;
INSERT INTO audit (number, at, collection_id, revision, action, subject_id, detail)
    SELECT number, at, collection_id, revision, action, subject_id, detail FROM audit_5;
DROP TABLE audit_5;
CREATE INDEX audit_of_subject ON audit (collection_id, subject_id);
CREATE INDEX audit_unsealed ON audit (number) WHERE place IS NULL;
CREATE TABLE audit_head (place INTEGER NOT NULL, sha256 TEXT NOT NULL) STRICT;
INSERT INTO audit_head VALUES
    (0, '0000000000000000000000000000000000000000000000000000000000000000');
"""
_CREATE: Final = (
    _CREATE_2 + _CALIBRATIONS + _NAMES + _FEEDBACK + _API_KEYS + _PROTECTION + _AUDIT_CHAIN
)
_TABLES_3: Final = {
    *("contracts", "collections", "subjects", "templates", "crops", "audit", "calibrations"),
}

_TABLES_OF: Final = {
    1: {"gallery", "subjects", "templates"},
    2: {"contracts", "collections", "subjects", "templates", "crops", "audit"},
    3: _TABLES_3,
    4: _TABLES_3,
    5: {*_TABLES_3, "feedback", "api_keys"},
    6: {*_TABLES_3, "feedback", "api_keys", "audit_head"},
}

# From the version that is the key to the next one. Numbers and ids stay what they were.
_MIGRATIONS: Final = {
    1: f"""
ALTER TABLE gallery RENAME TO gallery_1;
ALTER TABLE subjects RENAME TO subjects_1;
ALTER TABLE templates RENAME TO templates_1;
DROP INDEX templates_of_subject;
{_CREATE_2}
INSERT INTO contracts (number, id, embedding_size, d_max)
    SELECT 1, contract_id, embedding_size, d_max FROM gallery_1;
INSERT INTO collections
    (number, id, contract_number, revision, subject_count, template_count, created_at)
    SELECT 1, 'default', 1, revision, (SELECT count(*) FROM subjects_1),
        (SELECT count(*) FROM templates_1),
        coalesce((SELECT min(created_at) FROM subjects_1), strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    FROM gallery_1;
INSERT INTO subjects (number, collection_number, id, name, external_id, metadata, created_at)
    SELECT number, 1, id, name, external_id, metadata, created_at FROM subjects_1;
INSERT INTO templates
    (number, id, collection_number, subject_number, contract_number, created_at, embedding)
    SELECT t.number, t.id, 1, t.subject_number, 1, s.created_at, t.embedding
    FROM templates_1 t JOIN subjects_1 s ON s.number = t.subject_number ORDER BY t.number;
-- The largest number ever given out, even if its row is gone.
UPDATE sqlite_sequence SET seq = max(seq, coalesce(
    (SELECT seq FROM sqlite_sequence WHERE name = 'subjects_1'), 0)) WHERE name = 'subjects';
UPDATE sqlite_sequence SET seq = max(seq, coalesce(
    (SELECT seq FROM sqlite_sequence WHERE name = 'templates_1'), 0)) WHERE name = 'templates';
INSERT INTO sqlite_sequence (name, seq)
    SELECT substr(name, 1, length(name) - 2), seq FROM sqlite_sequence
    WHERE name IN ('subjects_1', 'templates_1')
    AND substr(name, 1, length(name) - 2) NOT IN (SELECT name FROM sqlite_sequence);
DROP TABLE templates_1;
DROP TABLE subjects_1;
DROP TABLE gallery_1;
""",
    2: _CALIBRATIONS,
    3: _NAMES,
    4: _FEEDBACK + _API_KEYS,
    # What was entered before is chained as it is then, at the end of the same transaction.
    5: _PROTECTION + _AUDIT_CHAIN,
}


def is_empty(connection: apsw.Connection) -> bool:
    """Whether the file has no content at all yet."""
    return bool(
        connection.pragma("application_id") == 0
        and connection.pragma("user_version") == 0
        and connection.execute("SELECT count(*) FROM sqlite_schema").get == 0
    )


def create_tables(connection: apsw.Connection) -> None:
    """Make an empty file a gallery; call inside a transaction."""
    connection.execute(_CREATE)
    connection.pragma("application_id", APPLICATION_ID)
    connection.pragma("user_version", SCHEMA_VERSION)


def check_file(connection: apsw.Connection, path: Path) -> int:
    """The schema version of a gallery file that we know, current or older.

    Raises GalleryUnavailableError (another kind of file) or GalleryError (a newer schema).
    """
    if connection.pragma("application_id") != APPLICATION_ID:
        raise GalleryUnavailableError(
            f"{path} is a database, but not a gallery: name another file, or one that is not "
            "there yet."
        )
    version = int(connection.pragma("user_version"))
    if version not in _TABLES_OF:
        raise GalleryError(
            f"The gallery {path} has schema version {version}, this OneGlance knows versions up to "
            f"{SCHEMA_VERSION}: use the release that the file was last opened with, or a newer one."
        )
    found = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    if not found >= _TABLES_OF[version]:
        raise damaged(path, "tables are missing")
    return version


def migrate(connection: apsw.Connection, version: int) -> None:
    """Bring a gallery file from an older version to the current one; inside a transaction.

    Foreign keys must be off: renaming a table would drag references to it along.
    """
    connection.pragma("legacy_alter_table", "on")
    for step in range(version, SCHEMA_VERSION):
        connection.execute(_MIGRATIONS[step])
    connection.pragma("legacy_alter_table", "off")
    connection.pragma("user_version", SCHEMA_VERSION)
