"""The JSON of the audit log."""

from typing import Any

from pydantic import Field

from index.audit_chain import AuditHead
from index.tables.audit import AuditEntry
from service.schemas import Model


class AuditEntryOut(Model):
    """What was done. Its sha256 is of all else here, in the canonical form of RFC 8785."""

    place: int = Field(description="1, 2, 3 and so on, through all collections")
    at: str = Field(description="RFC 3339")
    collection: str | None = Field(description="null for what is of none, such as keys")
    revision: int | None = Field(description="of the collection, by this write")
    action: str
    subject_id: str | None
    detail: dict[str, Any] = Field(
        description="ids, numbers and words of ours; no names. by: id of the key that asked "
        "for it, null where none did; not there in what an older version has entered"
    )
    previous_sha256: str = Field(description="of the entry before; 64 zeros at the first one")
    sha256: str

    @classmethod
    def of(cls, entry: AuditEntry) -> "AuditEntryOut":
        """From the gallery's record."""
        return cls(**entry.told())


class AuditHeadOut(Model):
    """The newest entry of all: note it elsewhere, since a log that was cut is a chain, too."""

    place: int = Field(description="0 while there is no entry")
    sha256: str

    @classmethod
    def of(cls, head: AuditHead) -> "AuditHeadOut":
        """From the gallery's record."""
        return cls(place=head.place, sha256=head.sha256)


class AuditList(Model):
    """One page of the audit log, oldest first."""

    entries: list[AuditEntryOut]
    next_cursor: str | None = Field(description="pass as cursor for the next page; null at the end")
    head: AuditHeadOut
