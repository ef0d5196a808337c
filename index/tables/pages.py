"""The statements that read a collection page by page, by ascending subject numbers.

Each takes a transaction under way. A page is the subjects numbered `first` to `last`.
Shapes: N templates, D embedding size.
"""

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from index.database import Connection
from index.records import Embeddings
from index.tables.templates import UnderContract

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


def templates_of_page(
    c: Connection, of: UnderContract, *, first: int, last: int
) -> list[PagedTemplate]:
    """By subject, each one's oldest first."""
    rows = c.execute(
        "SELECT t.subject_number, t.id, t.created_at, length(p.image) FROM templates t"
        f" LEFT JOIN crops p ON p.template_id = t.id {_WHERE} ORDER BY t.subject_number, t.number",
        _key(of, first, last),
    )
    return [
        PagedTemplate(subject_number=row[0], id=row[1], created_at=row[2], crop_bytes=row[3])
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
    return [bytes(row[1]) for row in rows if row[0] in kept]


def _key(of: UnderContract, first: int, last: int) -> tuple[Any, ...]:
    return (first, last, of.contract, of.collection)
