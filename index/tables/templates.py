"""The statements about templates and crops. Each takes a transaction under way.

Shapes: N templates, D embedding size.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from index.checks import cannot_be_stored
from index.database import Connection
from index.protection.protection import PLAIN, Protection
from index.protection.row_cipher import HEAD_BYTES
from index.records import StoredTemplate, Template, TemplateBatch
from index.tables.runs import rows_by_keys

_SELECT = "SELECT number, subject_number, id, created_at, embedding FROM templates"
_DESCRIBE = """
SELECT t.id, s.id, t.created_at, EXISTS (SELECT 1 FROM crops c WHERE c.template_id = t.id)
FROM templates t JOIN subjects s ON s.number = t.subject_number
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderContract:
    """Which templates are meant: a collection's, under one of its contracts, of `size` numbers.

    protection: how their embeddings are turned before they are stored.
    """

    collection: int
    contract: int
    size: int
    protection: Protection = PLAIN


def insert_template(c: Connection, of: UnderContract, template: StoredTemplate) -> int:
    """A new template, its own number not looked at; the number that it gets."""
    rows = c.execute(
        "INSERT INTO templates (id, collection_number, subject_number, contract_number, created_at,"
        " embedding) VALUES (?, ?, ?, ?, ?, ?) RETURNING number",
        (
            template.id,
            of.collection,
            template.subject_number,
            of.contract,
            template.created_at,
            c.pack(template.embedding),
        ),
    )
    return int(rows[0][0])


def get_templates(c: Connection, numbers: Collection[int], size: int) -> dict[int, StoredTemplate]:
    """Templates of these numbers; those that are gone are left out."""
    rows = list(rows_by_keys(c, f"{_SELECT} WHERE number IN ({{}})", numbers))
    return {template.number: template for template in _stored(c, rows, size)}


def templates_of(c: Connection, of: UnderContract, subject_number: int) -> list[StoredTemplate]:
    """A subject's templates, oldest first."""
    where = "WHERE subject_number = ? AND contract_number = ? ORDER BY number"
    return _stored(c, c.execute(f"{_SELECT} {where}", (subject_number, of.contract)), of.size)


def numbers_of(c: Connection, of: UnderContract, subject_number: int) -> list[int]:
    """Numbers of a subject's templates, ascending."""
    sql = (
        "SELECT number FROM templates WHERE subject_number = ? AND contract_number = ?"
        " ORDER BY number"
    )
    return [row[0] for row in c.execute(sql, (subject_number, of.contract))]


def is_taken(c: Connection, of: UnderContract, template_id: str) -> bool:
    """Whether a template of this id is there under that contract, or in another collection."""
    where = "WHERE id = ? AND (contract_number = ? OR collection_number <> ?)"
    values = (template_id, of.contract, of.collection)
    return bool(c.execute(f"SELECT 1 FROM templates {where}", values))


def find_template(c: Connection, of: UnderContract, template_id: str) -> StoredTemplate | None:
    """The template of that id, or None."""
    if cannot_be_stored(template_id):
        return None
    where = "WHERE id = ? AND contract_number = ? AND collection_number = ?"
    rows = c.execute(f"{_SELECT} {where}", (template_id, of.contract, of.collection))
    return _stored(c, rows, of.size)[0] if rows else None


def describe_templates(c: Connection, of: UnderContract, subject_number: int) -> list[Template]:
    """A subject's templates without their embeddings, oldest first."""
    where = "WHERE t.subject_number = ? AND t.contract_number = ? ORDER BY t.number"
    return _described(c.execute(f"{_DESCRIBE} {where}", (subject_number, of.contract)))


def describe_template(c: Connection, of: UnderContract, template_id: str) -> Template | None:
    """The template of that id without its embedding, or None."""
    if cannot_be_stored(template_id):
        return None
    where = "WHERE t.id = ? AND t.contract_number = ? AND t.collection_number = ?"
    found = _described(c.execute(f"{_DESCRIBE} {where}", (template_id, of.contract, of.collection)))
    return found[0] if found else None


def all_templates(c: Connection, of: UnderContract) -> Iterator[TemplateBatch]:
    """Every template by ascending number, some thousands at a time."""
    sql = (
        "SELECT number, subject_number, embedding FROM templates"
        " WHERE collection_number = ? AND contract_number = ? ORDER BY number"
    )
    for rows in c.stream(sql, (of.collection, of.contract)):
        yield TemplateBatch(
            numbers=np.array([row[0] for row in rows], dtype=np.int64),
            subject_numbers=np.array([row[1] for row in rows], dtype=np.int64),
            embeddings=c.unpack([row[2] for row in rows], size=of.size),
        )


def subjects_with_templates(c: Connection, of: UnderContract) -> list[int]:
    """Numbers of the subjects that have a template, ascending."""
    sql = (
        "SELECT DISTINCT subject_number FROM templates"
        " WHERE collection_number = ? AND contract_number = ? ORDER BY subject_number"
    )
    return [row[0] for row in c.execute(sql, (of.collection, of.contract))]


def list_unembedded(
    c: Connection, of: UnderContract, other: int, *, after: int, limit: int, with_crop: bool = False
) -> list[tuple[int, str, str]]:
    """Templates without a row under the contract `other`: (number, id, subject id), ascending.

    with_crop: those only of which a picture is stored.
    """
    crop = " AND EXISTS (SELECT 1 FROM crops k WHERE k.template_id = t.id)" if with_crop else ""
    rows = c.execute(
        "SELECT t.number, t.id, s.id FROM templates t JOIN subjects s ON s.number ="
        " t.subject_number WHERE t.collection_number = ? AND t.contract_number = ? AND t.number > ?"
        " AND NOT EXISTS (SELECT 1 FROM templates o WHERE o.id = t.id AND o.contract_number = ?)"
        f"{crop} ORDER BY t.number LIMIT ?",
        (of.collection, of.contract, after, other, limit),
    )
    return [(row[0], row[1], row[2]) for row in rows]


def first_crops(c: Connection, of: UnderContract, *, limit: int) -> list[bytes]:
    """Stored pictures of the oldest templates that have one."""
    rows = c.execute(
        "SELECT k.image FROM templates t JOIN crops k ON k.template_id = t.id"
        " WHERE t.collection_number = ? AND t.contract_number = ? ORDER BY t.number LIMIT ?",
        (of.collection, of.contract, limit),
    )
    return [c.unpack_crop(row[0]) for row in rows]


def list_unkeyed(
    c: Connection, of: UnderContract, other: int, *, after: int, limit: int
) -> list[StoredTemplate]:
    """Templates without a row under the contract `other`, numbered above `after`, ascending."""
    where = (
        "WHERE collection_number = ? AND contract_number = ? AND number > ? AND NOT EXISTS"
        " (SELECT 1 FROM templates o WHERE o.id = templates.id AND o.contract_number = ?)"
        " ORDER BY number LIMIT ?"
    )
    rows = c.execute(f"{_SELECT} {where}", (of.collection, of.contract, after, other, limit))
    return _stored(c, rows, of.size)


def remove_some(c: Connection, of: UnderContract, *, limit: int) -> int:
    """Remove up to `limit` templates, and no crop; how many there were."""
    rows = c.execute(
        "DELETE FROM templates WHERE number IN (SELECT number FROM templates"
        " WHERE collection_number = ? AND contract_number = ? LIMIT ?) RETURNING number",
        (of.collection, of.contract, limit),
    )
    return len(rows)


def count_under(c: Connection, of: UnderContract) -> int:
    """Number of templates."""
    sql = "SELECT count(*) FROM templates WHERE collection_number = ? AND contract_number = ?"
    return int(c.execute(sql, (of.collection, of.contract))[0][0])


def count_unembedded(c: Connection, of: UnderContract, other: int) -> int:
    """Number of templates without a row under the contract `other`."""
    sql = (
        "SELECT count(*) FROM templates t WHERE t.collection_number = ? AND t.contract_number = ?"
        " AND NOT EXISTS (SELECT 1 FROM templates o WHERE o.id = t.id AND o.contract_number = ?)"
    )
    return int(c.execute(sql, (of.collection, of.contract, other))[0][0])


def subjects_without(c: Connection, of: UnderContract, other: int) -> list[str]:
    """Ids of subjects that have templates, but none under the contract `other`."""
    sql = (
        "SELECT s.id FROM subjects s WHERE s.collection_number = ? AND EXISTS (SELECT 1"
        " FROM templates t WHERE t.subject_number = s.number AND t.contract_number = ?)"
        " AND NOT EXISTS (SELECT 1 FROM templates o WHERE o.subject_number = s.number"
        " AND o.contract_number = ?) ORDER BY s.number"
    )
    return [row[0] for row in c.execute(sql, (of.collection, of.contract, other))]


def move_templates(c: Connection, *, source: int, target: int) -> None:
    """Give all templates and crops of one subject to another."""
    for table in ("templates", "crops"):
        c.execute(
            f"UPDATE {table} SET subject_number = ? WHERE subject_number = ?", (target, source)
        )


def remove_template(c: Connection, of: UnderContract, template_id: str) -> None:
    """Remove a template of a collection under every contract, and its crop."""
    c.execute(
        "DELETE FROM templates WHERE id = ? AND collection_number = ?", (template_id, of.collection)
    )
    c.execute("DELETE FROM crops WHERE template_id = ?", (template_id,))


def remove_under(c: Connection, of: UnderContract) -> None:
    """Remove all templates of a collection under one contract, and crops that none has now."""
    c.execute(
        "DELETE FROM templates WHERE collection_number = ? AND contract_number = ?",
        (of.collection, of.contract),
    )
    c.execute(
        "DELETE FROM crops WHERE subject_number IN (SELECT number FROM subjects"
        " WHERE collection_number = ?) AND NOT EXISTS (SELECT 1 FROM templates t"
        " WHERE t.id = crops.template_id)",
        (of.collection,),
    )


def insert_crop(c: Connection, template_id: str, subject_number: int, image: bytes) -> None:
    """Store the picture that a template was made of."""
    c.execute(
        "INSERT INTO crops (template_id, subject_number, image) VALUES (?, ?, ?)",
        (template_id, subject_number, c.pack_crop(image)),
    )


def crop_heads(
    c: Connection, collection: int, *, after: str, limit: int
) -> list[tuple[str, bytes]]:
    """Ids of templates with a picture, above `after`, and the first HEAD_BYTES of what is stored
    of it."""
    rows = c.execute(
        f"SELECT p.template_id, substr(p.image, 1, {HEAD_BYTES}) FROM crops p"
        " JOIN subjects s ON s.number = p.subject_number"
        " WHERE s.collection_number = ? AND p.template_id > ? ORDER BY p.template_id LIMIT ?",
        (collection, after, limit),
    )
    return [(row[0], bytes(row[1])) for row in rows]


def replace_crop(c: Connection, template_id: str, image: bytes) -> None:
    """Store a picture that is there once more."""
    c.execute("UPDATE crops SET image = ? WHERE template_id = ?", (c.pack_crop(image), template_id))


def get_crop(c: Connection, template_id: str) -> bytes | None:
    """The picture that a template was made of, None where none was stored."""
    rows = c.execute("SELECT image FROM crops WHERE template_id = ?", (template_id,))
    return c.unpack_crop(rows[0][0]) if rows else None


def _described(rows: Sequence[tuple[Any, ...]]) -> list[Template]:
    return [
        Template(id=row[0], subject_id=row[1], created_at=row[2], has_crop=bool(row[3]))
        for row in rows
    ]


def _stored(c: Connection, rows: Sequence[tuple[Any, ...]], size: int) -> list[StoredTemplate]:
    embeddings = c.unpack([row[4] for row in rows], size=size)
    return [
        StoredTemplate(
            number=row[0], subject_number=row[1], id=row[2], created_at=row[3], embedding=embedding
        )
        for row, embedding in zip(rows, embeddings, strict=True)
    ]
