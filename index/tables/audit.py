"""The audit log: what was done to whom, without names and embeddings."""

import json
from dataclasses import dataclass
from typing import Any

from index.database import Connection
from index.tables.collections import StoredCollection


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One write. revision: what the collection's became by it. detail: JSON text."""

    at: str
    collection_id: str
    revision: int
    action: str
    subject_id: str | None
    detail: str


def log(
    c: Connection,
    collection: StoredCollection,
    action: str,
    *,
    at: str,
    subject_id: str | None = None,
    **detail: Any,
) -> None:
    """Enter a write of this very transaction: both are there, or neither."""
    c.execute(
        "INSERT INTO audit (at, collection_id, revision, action, subject_id, detail)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (at, collection.id, collection.revision, action, subject_id, json.dumps(detail)),
    )


def entries_of(c: Connection, collection_id: str, subject_id: str) -> list[AuditEntry]:
    """All that was done to a subject, oldest first."""
    return _entries(
        c.execute(
            "SELECT at, collection_id, revision, action, subject_id, detail FROM audit"
            " WHERE collection_id = ? AND subject_id = ? ORDER BY number",
            (collection_id, subject_id),
        )
    )


def _entries(rows: list[tuple[Any, ...]]) -> list[AuditEntry]:
    return [
        AuditEntry(
            at=row[0],
            collection_id=row[1],
            revision=row[2],
            action=row[3],
            subject_id=row[4],
            detail=row[5],
        )
        for row in rows
    ]
