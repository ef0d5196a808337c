"""The audit log of a gallery's database: read by pages or as a whole, and checked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from contract.errors import AuditBrokenError
from index.audit_chain import AuditHead, check_chain
from index.checks import check_place
from index.database import Connection
from index.galleries import Galleries
from index.tables import audit
from index.tables.audit import AuditEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Some entries, oldest first. next_after: where the next page begins, None at the end.

    head: the newest entry of the whole log at that moment.
    """

    entries: tuple[AuditEntry, ...]
    next_after: str | None
    head: AuditHead


def audit_page(galleries: Galleries, *, limit: int, after: str | None = None) -> AuditPage:
    """Up to `limit` entries. `after` is the `next_after` of the page before.

    Raises ValueError or GalleryUnavailableError.
    """
    place = check_place(after, what="after", name="next_after") or 0
    galleries.queue.check_usable()
    with galleries.database.reading() as c:
        found = audit.page(c, after=place, limit=limit + 1)
        head = audit.head_of(c)
    return AuditPage(
        entries=tuple(found[:limit]),
        next_after=str(found[limit - 1].place) if len(found) > limit else None,
        head=head,
    )


def told_entries(galleries: Galleries) -> Iterator[dict[str, Any]]:
    """Every entry as JSON has it, oldest first, of one moment. Raises GalleryUnavailableError."""
    galleries.queue.check_usable()
    with galleries.database.reading() as c:
        yield from _told(c)


def log_head(galleries: Galleries) -> AuditHead:
    """The newest entry. Raises GalleryUnavailableError."""
    galleries.queue.check_usable()
    with galleries.database.reading() as c:
        return audit.head_of(c)


def check_log(c: Connection, *, noted: str | None = None) -> AuditHead:
    """The head of the log, if it is one chain. noted: see check_chain. Raises AuditBrokenError."""
    head, kept = check_chain(_told(c), noted=noted), audit.head_of(c)
    if head != kept:
        raise AuditBrokenError(
            head.place + 1, f"{kept.place} entries were made, and {head.place} are there"
        )
    return head


def _told(c: Connection) -> Iterator[dict[str, Any]]:
    for number, entry in enumerate(audit.all_entries(c), start=1):
        try:
            yield entry.told()
        except ValueError as error:
            raise AuditBrokenError(number, "its detail is no JSON") from error
