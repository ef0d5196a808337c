"""The statements about API keys: who may ask the service. Each takes a transaction."""

import json
from dataclasses import dataclass
from typing import Any

from index.checks import cannot_be_stored
from index.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """An API key without its secret.

    id: told to everybody, unlike the key. name: for people. sha256: 64 hex digits, of the whole
    key's text. scopes: words of the service, in its order. collections: ids, of those that are not
    there (yet), too; None for all. Times: RFC 3339, UTC; expires_at: None for never.
    """

    id: str
    name: str
    sha256: str
    scopes: tuple[str, ...]
    collections: tuple[str, ...] | None
    created_at: str
    expires_at: str | None


def all_keys(c: Connection) -> list[StoredKey]:
    """Every key, oldest first; of those that have expired, too."""
    rows = c.execute(
        "SELECT id, name, sha256, scopes, collections, created_at, expires_at FROM api_keys"
        " ORDER BY number"
    )
    return [_stored(row) for row in rows]


def lock_keys(c: Connection) -> None:
    """Let no other transaction change or remove a key until this one has ended."""
    # A write, since only that is locked the same way by both databases.
    c.execute("UPDATE api_keys SET name = name")


def insert_key(c: Connection, key: StoredKey) -> None:
    """A new key."""
    collections = None if key.collections is None else json.dumps(key.collections)
    c.execute(
        "INSERT INTO api_keys (id, name, sha256, scopes, collections, created_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            key.id,
            key.name,
            key.sha256,
            json.dumps(key.scopes),
            collections,
            key.created_at,
            key.expires_at,
        ),
    )


def remove_key(c: Connection, key_id: str) -> bool:
    """Remove a key; whether there was one of that id."""
    if cannot_be_stored(key_id):
        return False
    return bool(c.execute("DELETE FROM api_keys WHERE id = ? RETURNING number", (key_id,)))


def _stored(row: tuple[Any, ...]) -> StoredKey:
    return StoredKey(
        id=row[0],
        name=row[1],
        sha256=row[2],
        scopes=tuple(json.loads(row[3])),
        collections=None if row[4] is None else tuple(json.loads(row[4])),
        created_at=row[5],
        expires_at=row[6],
    )
