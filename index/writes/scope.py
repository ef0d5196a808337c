"""Where a write takes place: which collection, as it is inside the transaction."""

from dataclasses import dataclass
from typing import Any

from contract.errors import SwitchedMeanwhileError
from index.clock import now
from index.database import Connection
from index.tables import audit, collections
from index.tables.collections import StoredCollection
from index.tables.templates import UnderContract


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A write under way. at: its time."""

    c: Connection
    collection: StoredCollection
    searched: UnderContract
    at: str

    @property
    def revision(self) -> int:
        """What the collection's revision becomes by this write."""
        return self.collection.revision

    def log(self, action: str, subject_id: str | None = None, **detail: Any) -> None:
        """Enter the write in the audit log."""
        audit.log(self.c, self.collection, action, at=self.at, subject_id=subject_id, **detail)

    def count(self, *, subjects: int = 0, templates: int = 0) -> None:
        """Add to the collection's counts."""
        collections.count(self.c, self.collection.number, subjects=subjects, templates=templates)


def begin(c: Connection, of: UnderContract) -> Scope:
    """Begin a write that expects the collection to be searched under the contract that `of` says.

    Raises CollectionNotFoundError, or SwitchedMeanwhileError: it is searched under another one.
    """
    collection = collections.begin_write(c, of.collection)
    if collection.contract_number != of.contract:
        raise SwitchedMeanwhileError(
            gallery_contract_id=collections.get_contract(c, collection.contract_number).id,
            bundle_contract_id=collections.get_contract(c, of.contract).id,
        )
    return Scope(c=c, collection=collection, searched=of, at=now())
