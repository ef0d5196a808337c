"""The tables of a gallery file, and how a file is told to be one.

`application_id` says that the file is ours, `user_version` which schema it has, the row of
`gallery` which embeddings it holds. A file is made in one transaction: it is whole or still empty.
"""

from pathlib import Path

import apsw

from contract.embedding_contract import EmbeddingContract
from contract.errors import ContractMismatchError, GalleryError, GalleryUnavailableError
from index.sqlite_errors import damaged

APPLICATION_ID = 0x4F6E6547  # "OneG"
SCHEMA_VERSION = 1

# AUTOINCREMENT: a number is never given out again, so a late reference cannot hit another row.
# Embeddings: float32, little-endian, D of them.
_TABLES = f"""
CREATE TABLE gallery (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    contract_id TEXT NOT NULL,
    embedding_size INTEGER NOT NULL CHECK (embedding_size > 0),
    d_max REAL NOT NULL CHECK (d_max > 0),
    revision INTEGER NOT NULL CHECK (revision >= 0)
) STRICT;
CREATE TABLE subjects (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT,
    external_id TEXT UNIQUE,
    metadata TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;
CREATE TABLE templates (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    subject_number INTEGER NOT NULL REFERENCES subjects (number) ON DELETE CASCADE,
    embedding BLOB NOT NULL
) STRICT;
CREATE INDEX templates_of_subject ON templates (subject_number);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""


def is_empty(connection: apsw.Connection) -> bool:
    """Whether the file has no content at all yet."""
    return bool(
        connection.pragma("application_id") == 0
        and connection.pragma("user_version") == 0
        and connection.execute("SELECT count(*) FROM sqlite_schema").get == 0
    )


def create_tables(connection: apsw.Connection, contract: EmbeddingContract) -> None:
    """Make an empty file a gallery of `contract`; call inside a transaction."""
    connection.execute(_TABLES)
    connection.execute(
        "INSERT INTO gallery (id, contract_id, embedding_size, d_max, revision)"
        " VALUES (1, ?, ?, ?, 0)",
        (contract.id, contract.size, contract.d_max),
    )


def check_file(connection: apsw.Connection, path: Path) -> None:
    """Refuse a file that is not a gallery of this schema.

    Raises GalleryUnavailableError (another kind of file) or GalleryError (another schema).
    """
    if connection.pragma("application_id") != APPLICATION_ID:
        raise GalleryUnavailableError(
            f"{path} is a database, but not a gallery: name another file, or one that is not "
            "there yet."
        )
    version = connection.pragma("user_version")
    if version != SCHEMA_VERSION:
        raise GalleryError(
            f"The gallery {path} has schema version {version}, this OneGlance knows "
            f"{SCHEMA_VERSION}: use the release that the file was last opened with, or a newer one."
        )
    found = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    if not found >= {"gallery", "subjects", "templates"}:
        raise damaged(path, "tables are missing")


def check_contract(connection: apsw.Connection, contract: EmbeddingContract, path: Path) -> None:
    """Refuse a gallery of other embeddings. Raises ContractMismatchError or GalleryError."""
    row = connection.execute("SELECT contract_id, embedding_size, d_max FROM gallery").fetchone()
    if row is None:
        raise damaged(path, "it does not say which embeddings it holds")
    if row[0] != contract.id:
        raise ContractMismatchError(gallery_contract_id=row[0], bundle_contract_id=contract.id)
    if row[1:] != (contract.size, contract.d_max):
        raise GalleryError(
            f"The gallery {path} says embedding size {row[1]} and d_max {row[2]}, the bundle of "
            f"the same contract id {contract.size} and {contract.d_max}: one of them is wrong."
        )
