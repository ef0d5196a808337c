"""The audit log: what was done to whom, without names and embeddings, each entry chained to the one
before. Statements; each takes a transaction."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from index.actor import actor
from index.audit_chain import AuditHead, sha256_of
from index.database import Connection
from index.tables.collections import StoredCollection

_COLUMNS: Final = (
    "place, at, collection_id, revision, action, subject_id, detail, previous_sha256, sha256"
)
_ROWS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One write. place: 1, 2, 3 and so on, through all collections.

    collection_id, revision: None for what is of no collection, such as keys; revision: what the
    collection's became by it. detail: JSON text; `by` in it is the id of the key that asked for
    it, null where none did, and is not there in what an older version has entered. place and the
    hashes are None until the transaction is sealed.
    """

    place: int | None
    at: str
    collection_id: str | None
    revision: int | None
    action: str
    subject_id: str | None
    detail: str
    previous_sha256: str | None
    sha256: str | None

    def told(self) -> dict[str, Any]:
        """As JSON has it, and as it is hashed. Raises ValueError: `detail` is no JSON."""
        return {
            "place": self.place,
            "at": self.at,
            "collection": self.collection_id,
            "revision": self.revision,
            "action": self.action,
            "subject_id": self.subject_id,
            "detail": json.loads(self.detail),
            "previous_sha256": self.previous_sha256,
            "sha256": self.sha256,
        }


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
    of = (at, collection.id, collection.revision, action, subject_id)
    _insert(c, [(*of, _with_actor(detail))])


def log_many(
    c: Connection,
    collection: StoredCollection,
    action: str,
    *,
    at: str,
    details: Sequence[tuple[str, dict[str, Any]]],
) -> None:
    """Enter a write for many subjects: (subject id, detail)."""
    of = (at, collection.id, collection.revision, action)
    _insert(c, [(*of, subject_id, _with_actor(detail)) for subject_id, detail in details])


def log_service(c: Connection, action: str, *, at: str, **detail: Any) -> None:
    """Enter a write that is of no collection."""
    _insert(c, [(at, None, None, action, None, _with_actor(detail))])


def seal(c: Connection) -> None:
    """Chain what this transaction has entered to the newest entry; the last thing that it does.

    From here to the commit no other transaction seals. Whoever took this lock earlier could wait
    for a collection that another writer has, and that one for this lock.
    """
    while rows := c.execute(
        f"SELECT number, {_COLUMNS} FROM audit WHERE place IS NULL ORDER BY number LIMIT ?",
        (_ROWS,),
    ):
        head = _locked_head(c)
        sealed: list[Any] = []
        for number, *values in rows:
            told = _entry(values).told()
            told |= {"place": head.place + 1, "previous_sha256": head.sha256}
            head = AuditHead(place=head.place + 1, sha256=sha256_of(told))
            sealed += (number, head.place, told["previous_sha256"], head.sha256)
        quads = ", ".join(["(?, ?, ?, ?)"] * len(rows))
        c.execute(
            "UPDATE audit SET place = column2, previous_sha256 = column3, sha256 = column4"
            f" FROM (VALUES {quads}) AS sealed WHERE audit.number = column1",
            sealed,
        )
        c.execute("UPDATE audit_head SET place = ?, sha256 = ?", (head.place, head.sha256))


def head_of(c: Connection) -> AuditHead:
    """The newest entry, as it is kept apart from the entries."""
    (row,) = c.execute("SELECT place, sha256 FROM audit_head")
    return AuditHead(place=row[0], sha256=row[1])


def entries_of(c: Connection, collection_id: str, subject_id: str) -> list[AuditEntry]:
    """All that was done to a subject, oldest first."""
    sql = f"SELECT {_COLUMNS} FROM audit WHERE collection_id = ? AND subject_id = ? ORDER BY place"
    return [_entry(row) for row in c.execute(sql, (collection_id, subject_id))]


def page(c: Connection, *, after: int, limit: int) -> list[AuditEntry]:
    """Up to `limit` entries of places beyond `after`, oldest first."""
    sql = f"SELECT {_COLUMNS} FROM audit WHERE place > ? ORDER BY place LIMIT ?"
    return [_entry(row) for row in c.execute(sql, (after, limit))]


def all_entries(c: Connection) -> Iterator[AuditEntry]:
    """Every one, oldest first; one that was put in without a place comes last or first."""
    for rows in c.stream(f"SELECT {_COLUMNS} FROM audit ORDER BY place"):
        yield from map(_entry, rows)


def _locked_head(c: Connection) -> AuditHead:
    # A write, since only that is locked the same way by both databases.
    (row,) = c.execute("UPDATE audit_head SET place = place RETURNING place, sha256")
    return AuditHead(place=row[0], sha256=row[1])


def _with_actor(detail: dict[str, Any]) -> str:
    return json.dumps({**detail, "by": actor()})


def _insert(c: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        places = ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(part))
        c.execute(
            "INSERT INTO audit (at, collection_id, revision, action, subject_id, detail)"
            f" VALUES {places}",
            [value for row in part for value in row],
        )


def _entry(row: Sequence[Any]) -> AuditEntry:
    return AuditEntry(
        place=row[0],
        at=row[1],
        collection_id=row[2],
        revision=row[3],
        action=row[4],
        subject_id=row[5],
        detail=row[6],
        previous_sha256=row[7],
        sha256=row[8],
    )
