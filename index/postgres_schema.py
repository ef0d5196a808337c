"""The tables of a gallery in PostgreSQL: those of index/sqlite_schema.py, in its words.

Text compares byte by byte ("C"), whatever the database is set to, as it does in SQLite: so ids and
times have the same order in both, and no update of a language's rules can spoil an index.
"""

from typing import Final

from contract.errors import GalleryError, GalleryUnavailableError
from index.postgres_connection import PostgresConnection
from index.postgres_errors import damaged
from index.tables import audit

SCHEMA_VERSION: Final = 5
PGVECTOR_AT_LEAST: Final = (0, 8)
_TABLES_1: Final = ("contracts", "collections", "subjects", "templates", "crops", "audit")
_TABLES_2: Final = (*_TABLES_1, "calibrations")
_TABLES_4: Final = (*_TABLES_2, "feedback", "api_keys")
TABLES: Final = (*_TABLES_4, "audit_head")
_TABLES_OF: Final = {1: _TABLES_1, 2: _TABLES_2, 3: _TABLES_2, 4: _TABLES_4, 5: TABLES}
# Two replicas that start at once must not both make or change the tables: "OneGlanc" as a number.
_SETUP_LOCK: Final = 0x4F6E65476C616E63

# Numbers are never given out twice: a sequence does not go back, not even after a crash.
_CREATE_1: Final = """
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
    -- Of any D: that of its contract. In the row itself as long as a page has room for it, where
    -- a search that looks at every template finds it four times faster than out of line.
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
"""
_CALIBRATIONS: Final = """
CREATE TABLE calibrations (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection_number bigint NOT NULL UNIQUE REFERENCES collections (number) ON DELETE CASCADE,
    contract_number bigint NOT NULL REFERENCES contracts (number),
    made_at text COLLATE "C" NOT NULL,
    record text COLLATE "C" NOT NULL
);
"""
_NAMES: Final = """
CREATE INDEX subjects_by_name ON subjects (collection_number, name, number)
    WHERE name IS NOT NULL;
"""
_FEEDBACK: Final = """
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
"""
_API_KEYS: Final = """
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
"""
# The same embeddings turned by another secret are another generation of templates.
_PROTECTION: Final = """
ALTER TABLE contracts ADD COLUMN protection text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE contracts DROP CONSTRAINT contracts_id_key;
ALTER TABLE contracts ADD UNIQUE (id, protection);
"""
_AUDIT_CHAIN: Final = """
ALTER TABLE audit ALTER COLUMN collection_id DROP NOT NULL;
ALTER TABLE audit ALTER COLUMN revision DROP NOT NULL;
ALTER TABLE audit ADD COLUMN place bigint UNIQUE;
ALTER TABLE audit ADD COLUMN previous_sha256 text COLLATE "C";
ALTER TABLE audit ADD COLUMN sha256 text COLLATE "C";
CREATE INDEX audit_unsealed ON audit (number) WHERE place IS NULL;
CREATE TABLE audit_head (place bigint NOT NULL, sha256 text COLLATE "C" NOT NULL);
INSERT INTO audit_head VALUES
    (0, '0000000000000000000000000000000000000000000000000000000000000000');
"""
# To each version from the one before; 0 is a database without tables.
_STEPS: Final = {
    1: _CREATE_1,
    2: _CALIBRATIONS,
    3: _NAMES,
    4: _FEEDBACK + _API_KEYS,
    # What was entered before is chained as it is then, at the end of the same transaction.
    5: _PROTECTION + _AUDIT_CHAIN,
}


def is_current(connection: PostgresConnection) -> bool:
    """Whether the tables are there, in the version that we know, and pgvector with them.

    False for a database that has none of the tables yet, or those of an older version. Raises
    GalleryUnavailableError (tables of another application, pgvector missing or too old) or
    GalleryError (a newer schema).
    """
    if not _exists(connection, "schema_version"):
        taken = [table for table in TABLES if _exists(connection, table)]
        if taken:
            raise GalleryUnavailableError(
                f"The {connection.place} has tables of another application ({', '.join(taken)}): "
                "give the gallery a database of its own."
            )
        return False
    version = _version(connection)
    if version > SCHEMA_VERSION:
        raise GalleryError(
            f"The gallery in the {connection.place} has schema version {version}, this OneGlance "
            f"knows versions up to {SCHEMA_VERSION}: use the release that it was last opened with, "
            "or a newer one."
        )
    missing = [table for table in _TABLES_OF[version] if not _exists(connection, table)]
    if missing:
        raise damaged(connection.place, f"there is no table {', '.join(missing)}")
    _check_pgvector(connection)
    return version == SCHEMA_VERSION


def make_current(connection: PostgresConnection) -> None:
    """Make the tables where there are none, or bring older ones to the present version; inside a
    transaction that writes.

    Raises what is_current raises.
    """
    # Held until the transaction's end; whoever waited here finds the tables made.
    connection.execute("SELECT pg_advisory_xact_lock(?)", (_SETUP_LOCK,))
    if is_current(connection):
        return
    version = _version(connection) if _exists(connection, "schema_version") else 0
    if version == 0:
        _install_pgvector(connection)
        _check_pgvector(connection)
    for step in range(version + 1, SCHEMA_VERSION + 1):
        for statement in _STEPS[step].split(";\n"):
            if statement.strip():
                connection.execute(statement)
    # What older versions have entered.
    audit.seal(connection)
    if version == 0:
        connection.execute("INSERT INTO schema_version VALUES ('oneglance', ?)", (SCHEMA_VERSION,))
    else:
        connection.execute("UPDATE schema_version SET version = ?", (SCHEMA_VERSION,))


def _exists(connection: PostgresConnection, table: str) -> bool:
    # Not to_regclass(): a session remembers what was not there, beyond its wait for the lock.
    sql = "SELECT count(*) FROM pg_class WHERE relname = ? AND pg_table_is_visible(oid)"
    return bool(connection.execute(sql, (table,))[0][0])


def _version(connection: PostgresConnection) -> int:
    columns = connection.execute(
        "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " WHERE c.relname = 'schema_version' AND pg_table_is_visible(c.oid)"
        " AND a.attname IN ('application', 'version') AND NOT a.attisdropped"
    )
    rows = []
    if columns == [(2,)]:
        rows = connection.execute("SELECT application, version FROM schema_version")
    if len(rows) != 1 or rows[0][0] != "oneglance":
        raise GalleryUnavailableError(
            f"The {connection.place} is another application's: give the gallery a database of its "
            "own."
        )
    return int(rows[0][1])


def _install_pgvector(connection: PostgresConnection) -> None:
    sql = "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"
    if not connection.execute(sql):
        raise GalleryUnavailableError(
            f"The server of the {connection.place} has no pgvector: install it there, version "
            f"{_dotted(PGVECTOR_AT_LEAST)} or newer (the image pgvector/pgvector:pg18 has it)."
        )
    try:
        with connection.savepoint():
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except GalleryUnavailableError as error:
        raise GalleryUnavailableError(
            f"pgvector is not switched on in the {connection.place}, and this role may not do it: "
            f"let an administrator run CREATE EXTENSION vector there ({error.__cause__})."
        ) from error


def _check_pgvector(connection: PostgresConnection) -> None:
    rows = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    if not rows:
        raise damaged(connection.place, "the extension vector is gone")
    version = str(rows[0][0])
    if tuple(int(part) for part in version.split(".")[:2]) < PGVECTOR_AT_LEAST:
        raise GalleryUnavailableError(
            f"The {connection.place} has pgvector {version}, {_dotted(PGVECTOR_AT_LEAST)} or newer "
            "is needed: let an administrator install it on the server, then run ALTER EXTENSION "
            "vector UPDATE."
        )


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
