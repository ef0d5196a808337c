"""The statements that look up or store many rows at a time. Each takes a transaction under way."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from index.checks import metadata_text
from index.database import Connection, Value
from index.records import Embeddings, StoredSubject, StoredTemplate, Subject
from index.tables.pages import SUBJECT_COLUMNS, bare_subject
from index.tables.runs import rows_by_keys
from index.tables.templates import UnderContract

_ROWS: Final = 100
_CROPS: Final = 10

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTemplate:
    """Whose a template id is. embedding: as Connection.pack gives it."""

    subject_number: int
    contract_number: int
    created_at: str
    embedding: Value


def known_subjects(c: Connection, collection: int, ids: Iterable[str]) -> dict[str, StoredSubject]:
    """The subjects of some ids, as far as there are any; their templates are not counted."""
    sql = f"SELECT {SUBJECT_COLUMNS} FROM subjects WHERE collection_number = ? AND id IN ({{}})"
    found = (bare_subject(row) for row in rows_by_keys(c, sql, ids, first=(collection,)))
    return {known.subject.id: known for known in found}


def external_id_holders(
    c: Connection, collection: int, external_ids: Iterable[str]
) -> dict[str, str]:
    """Subject ids by those of some external ids that are taken."""
    sql = "SELECT external_id, id FROM subjects WHERE collection_number = ? AND external_id IN ({})"
    return {row[0]: row[1] for row in rows_by_keys(c, sql, external_ids, first=(collection,))}


def held_templates(
    c: Connection, contract: int, template_ids: Iterable[str]
) -> dict[str, HeldTemplate]:
    """Those of some template ids that are taken, in any collection; under `contract` if they are
    there under several."""
    sql = (
        "SELECT id, subject_number, contract_number, created_at, embedding FROM templates"
        " WHERE id IN ({})"
    )
    found: dict[str, HeldTemplate] = {}
    for row in rows_by_keys(c, sql, template_ids):
        if row[0] not in found or row[2] == contract:
            found[row[0]] = HeldTemplate(
                subject_number=row[1],
                contract_number=row[2],
                created_at=row[3],
                embedding=row[4],
            )
    return found


def insert_subjects(c: Connection, collection: int, new: Sequence[Subject]) -> dict[str, int]:
    """New subjects; their numbers, which ascend, by their ids."""
    rows = _inserted(
        c,
        "INSERT INTO subjects (collection_number, id, name, external_id, metadata, created_at,"
        " expires_at, consent_ref) VALUES {} RETURNING id, number",
        new,
        lambda s: (
            collection,
            s.id,
            s.name,
            s.external_id,
            metadata_text(s.metadata),
            s.created_at,
            s.expires_at,
            s.consent_ref,
        ),
    )
    return {row[0]: row[1] for row in rows}


def insert_templates(
    c: Connection, of: UnderContract, new: Sequence[tuple[int, str, str, Embeddings]]
) -> list[StoredTemplate]:
    """New templates: (subject number, id, time of creation, embedding); as they are stored."""
    rows = _inserted(
        c,
        "INSERT INTO templates (id, collection_number, subject_number, contract_number, created_at,"
        " embedding) VALUES {} RETURNING id, number",
        new,
        lambda t: (t[1], of.collection, t[0], of.contract, t[2], c.pack(t[3])),
    )
    numbers = {row[0]: row[1] for row in rows}
    return [
        StoredTemplate(
            number=numbers[template_id],
            subject_number=subject_number,
            id=template_id,
            created_at=created_at,
            embedding=embedding,
        )
        for subject_number, template_id, created_at, embedding in new
    ]


def insert_crops(c: Connection, new: Sequence[tuple[str, int, bytes]]) -> None:
    """New pictures: (template id, subject number, picture)."""
    sql = "INSERT INTO crops (template_id, subject_number, image) VALUES {}"
    _inserted(c, sql, new, lambda row: (row[0], row[1], c.pack_crop(row[2])), rows_at_once=_CROPS)


def _inserted(
    c: Connection,
    sql: str,
    items: Sequence[T],
    values_of: Callable[[T], tuple[Any, ...]],
    *,
    rows_at_once: int = _ROWS,
) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for start in range(0, len(items), rows_at_once):
        rows = [values_of(item) for item in items[start : start + rows_at_once]]
        row = f"({', '.join('?' * len(rows[0]))})"
        flat = [value for values in rows for value in values]
        found += c.execute(sql.format(", ".join([row] * len(rows))), flat)
    return found
