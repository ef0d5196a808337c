"""The statements about subjects. Each takes a transaction under way."""

import json
from collections.abc import Collection
from typing import Any

from index.checks import cannot_be_stored, metadata_text
from index.database import Connection
from index.records import StoredSubject, Subject
from index.tables.runs import rows_by_keys

# Of the templates only those under the contract that is searched count.
_SELECT = """
SELECT s.number, s.id, s.name, s.external_id, s.metadata, s.created_at, s.expires_at, s.consent_ref,
    (SELECT count(*) FROM templates t
        WHERE t.subject_number = s.number AND t.contract_number = c.contract_number)
FROM subjects s JOIN collections c ON c.number = s.collection_number
"""


def find_by_id(c: Connection, collection: int, subject_id: str) -> StoredSubject | None:
    """The subject of that id, or None."""
    return _one(c, "WHERE s.collection_number = ? AND s.id = ?", collection, subject_id)


def find_by_external_id(c: Connection, collection: int, external_id: str) -> StoredSubject | None:
    """The subject of that external id, or None."""
    return _one(c, "WHERE s.collection_number = ? AND s.external_id = ?", collection, external_id)


def get_subjects(c: Connection, numbers: Collection[int]) -> dict[int, Subject]:
    """The subjects of these numbers; those that are gone are left out."""
    known = (
        _stored(row) for row in rows_by_keys(c, f"{_SELECT} WHERE s.number IN ({{}})", numbers)
    )
    return {stored.number: stored.subject for stored in known}


def list_subjects(
    c: Connection,
    collection: int,
    *,
    after: int,
    limit: int,
    name: str | None = None,
    external_id: str | None = None,
) -> list[StoredSubject]:
    """Up to `limit` subjects with numbers above `after`, ascending; of that name or id only."""
    where = "WHERE s.collection_number = ? AND s.number > ?"
    wanted = {"name": name, "external_id": external_id}
    given = {column: value for column, value in wanted.items() if value is not None}
    if any(map(cannot_be_stored, given.values())):
        return []
    where += "".join(f" AND s.{column} = ?" for column in given)
    values = (collection, after, *given.values(), limit)
    return [
        _stored(row) for row in c.execute(f"{_SELECT} {where} ORDER BY s.number LIMIT ?", values)
    ]


def expired_subjects(c: Connection, collection: int, *, now: str, limit: int) -> list[str]:
    """Ids of up to `limit` subjects whose time is over."""
    sql = "SELECT id FROM subjects WHERE collection_number = ? AND expires_at <= ? LIMIT ?"
    return [row[0] for row in c.execute(sql, (collection, now, limit))]


def insert_subject(c: Connection, collection: int, subject: Subject) -> int:
    """A new subject; its number."""
    rows = c.execute(
        "INSERT INTO subjects (collection_number, id, name, external_id, metadata, created_at,"
        " expires_at, consent_ref) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
        (
            collection,
            subject.id,
            subject.name,
            subject.external_id,
            metadata_text(subject.metadata),
            subject.created_at,
            subject.expires_at,
            subject.consent_ref,
        ),
    )
    return int(rows[0][0])


def update_subject(c: Connection, number: int, subject: Subject) -> None:
    """Overwrite the facts of a subject, its id and time of creation apart."""
    c.execute(
        "UPDATE subjects SET name = ?, external_id = ?, metadata = ?, expires_at = ?,"
        " consent_ref = ? WHERE number = ?",
        (
            subject.name,
            subject.external_id,
            metadata_text(subject.metadata),
            subject.expires_at,
            subject.consent_ref,
            number,
        ),
    )


def remove_subject(c: Connection, number: int) -> None:
    """Remove a subject with its templates, under every contract, and its crops."""
    c.execute("DELETE FROM subjects WHERE number = ?", (number,))


def count_held(c: Connection, number: int) -> dict[str, int]:
    """What goes with a subject: embeddings under every contract, crops, and feedback naming it."""
    (row,) = c.execute(
        "SELECT (SELECT count(*) FROM templates WHERE subject_number = ?),"
        " (SELECT count(*) FROM crops WHERE subject_number = ?),"
        " (SELECT count(*) FROM feedback WHERE subject_number = ? OR other_number = ?)",
        (number,) * 4,
    )
    return dict(zip(("embeddings", "crops", "feedback"), row, strict=True))


def _one(c: Connection, where: str, collection: int, key: str) -> StoredSubject | None:
    if cannot_be_stored(key):
        return None
    rows = c.execute(f"{_SELECT} {where}", (collection, key))
    return _stored(rows[0]) if rows else None


def _stored(row: tuple[Any, ...]) -> StoredSubject:
    number, subject_id, name, external_id, metadata, created_at, expires_at, consent_ref, n = row
    subject = Subject(
        id=subject_id,
        name=name,
        external_id=external_id,
        metadata=json.loads(metadata),
        template_count=n,
        created_at=created_at,
        expires_at=expires_at,
        consent_ref=consent_ref,
    )
    return StoredSubject(number=number, subject=subject)
