"""The statements about calibrations: the latest of each collection. Each takes a transaction."""

from dataclasses import dataclass

from index.database import Connection
from index.tables.templates import UnderContract


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCalibration:
    """What was measured on a collection's own templates. Of no person: rates and counts only.

    number: another one each time a calibration is stored. contract_id: of the embeddings that it
    was measured on. made_at: RFC 3339, UTC. record: JSON text, for whoever stored it to read.
    """

    number: int
    contract_id: str
    made_at: str
    record: str


def find_calibration(c: Connection, collection_number: int) -> StoredCalibration | None:
    """The latest of a collection, or None."""
    rows = c.execute(
        "SELECT b.number, k.id, b.made_at, b.record FROM calibrations b"
        " JOIN contracts k ON k.number = b.contract_number WHERE b.collection_number = ?",
        (collection_number,),
    )
    if not rows:
        return None
    number, contract_id, made_at, record = rows[0]
    return StoredCalibration(number=number, contract_id=contract_id, made_at=made_at, record=record)


def find_number(c: Connection, collection_number: int) -> int | None:
    """The number of the latest of a collection, or None."""
    sql = "SELECT number FROM calibrations WHERE collection_number = ?"
    rows = c.execute(sql, (collection_number,))
    return int(rows[0][0]) if rows else None


def replace_calibration(c: Connection, of: UnderContract, *, made_at: str, record: str) -> int:
    """Store the latest of a collection in place of the one before; its number, a new one."""
    c.execute("DELETE FROM calibrations WHERE collection_number = ?", (of.collection,))
    rows = c.execute(
        "INSERT INTO calibrations (collection_number, contract_number, made_at, record)"
        " VALUES (?, ?, ?, ?) RETURNING number",
        (of.collection, of.contract, made_at, record),
    )
    return int(rows[0][0])
