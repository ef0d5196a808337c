"""The statements that read a collection page by page, by ascending subject numbers.

Each takes a transaction under way. A page is the subjects numbered `first` to `last`.
Shapes: N templates, D embedding size.
"""

import json
from collections.abc import Set
from dataclasses import dataclass
from typing import Any, Final

from index.database import Connection
from index.protection.row_cipher import HEAD_BYTES
from index.records import Embeddings, StoredSubject, Subject
from index.tables.templates import UnderContract

SUBJECT_COLUMNS: Final = (
    "number, id, name, external_id, metadata, created_at, expires_at, consent_ref"
)
# The sign keeps SQLite from the index of the whole collection, which would be read for each page.
_WHERE = (
    "WHERE t.subject_number BETWEEN ? AND ? AND +t.contract_number = ? AND +t.collection_number = ?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PagedTemplate:
    """A template without its embedding. crop_bytes: length of its picture, None without one."""

    subject_number: int
    id: str
    created_at: str
    crop_bytes: int | None


def subjects_of_page(
    c: Connection, collection: int, *, after: int, limit: int
) -> list[StoredSubject]:
    """Up to `limit` subjects with numbers above `after`, ascending; their templates not counted."""
    rows = c.execute(
        f"SELECT {SUBJECT_COLUMNS} FROM subjects WHERE collection_number = ? AND number > ?"
        " ORDER BY number LIMIT ?",
        (collection, after, limit),
    )
    return [bare_subject(row) for row in rows]


def bare_subject(row: tuple[Any, ...]) -> StoredSubject:
    """A row of SUBJECT_COLUMNS; the subject's templates are not counted."""
    number, subject_id, name, external_id, metadata, created_at, expires_at, consent_ref = row
    subject = Subject(
        id=subject_id,
        name=name,
        external_id=external_id,
        metadata=json.loads(metadata),
        template_count=0,
        created_at=created_at,
        expires_at=expires_at,
        consent_ref=consent_ref,
    )
    return StoredSubject(number=number, subject=subject)


def templates_of_page(
    c: Connection, of: UnderContract, *, first: int, last: int
) -> list[PagedTemplate]:
    """By subject, each one's oldest first."""
    rows = c.execute(
        "SELECT t.subject_number, t.id, t.created_at, length(p.image),"
        f" substr(p.image, 1, {HEAD_BYTES}) FROM templates t"
        f" LEFT JOIN crops p ON p.template_id = t.id {_WHERE} ORDER BY t.subject_number, t.number",
        _key(of, first, last),
    )
    return [
        PagedTemplate(
            subject_number=row[0],
            id=row[1],
            created_at=row[2],
            crop_bytes=None if row[3] is None else c.crop_bytes(row[3], row[4]),
        )
        for row in rows
    ]


def embeddings_of_page(
    c: Connection, of: UnderContract, *, first: int, last: int, kept: Set[int]
) -> Embeddings:
    """float32 (N, D), in the order of templates_of_page, of the subjects `kept`."""
    rows = c.execute(
        f"SELECT t.subject_number, t.embedding FROM templates t {_WHERE}"
        " ORDER BY t.subject_number, t.number",
        _key(of, first, last),
    )
    return c.unpack([row[1] for row in rows if row[0] in kept], size=of.size)


def crops_of_page(
    c: Connection, of: UnderContract, *, first: int, last: int, kept: Set[int]
) -> list[bytes]:
    """The pictures that there are, in the order of templates_of_page, of the subjects `kept`."""
    rows = c.execute(
        "SELECT t.subject_number, p.image FROM templates t JOIN crops p ON p.template_id = t.id"
        f" {_WHERE} ORDER BY t.subject_number, t.number",
        _key(of, first, last),
    )
    return [c.unpack_crop(row[1]) for row in rows if row[0] in kept]


def _key(of: UnderContract, first: int, last: int) -> tuple[Any, ...]:
    return (first, last, of.contract, of.collection)
