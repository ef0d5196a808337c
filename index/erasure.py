"""What became of a subject that was removed: by the audit log, which outlives it."""

import json
from dataclasses import dataclass

from contract.errors import ErasureNotFoundError
from index.gallery import Gallery
from index.tables import audit
from index.tables.audit import AuditEntry

_ACTIONS = ("remove", "expire")


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """The last removal of a subject. entry: of the audit log, with what was removed.

    embeddings: of its templates under every contract. The counts are None where an older version
    removed it, which did not note them. overwritten: no file of the gallery has the bytes any more.
    """

    entry: AuditEntry
    by_expiry: bool
    embeddings: int | None
    crops: int | None
    feedback: int | None
    overwritten: bool


def erasure_of(gallery: Gallery, subject_id: str) -> Erasure:
    """The last removal of the subject of that id. Raises ErasureNotFoundError."""
    entries = gallery.read(
        lambda scope: audit.entries_of(scope.c, gallery.collection_id, subject_id)
    )
    removals = [entry for entry in entries if entry.action in _ACTIONS]
    if not removals:
        raise ErasureNotFoundError(subject_id)
    entry = removals[-1]
    counts = json.loads(entry.detail)
    return Erasure(
        entry=entry,
        by_expiry=entry.action == "expire",
        embeddings=counts.get("embeddings"),
        crops=counts.get("crops"),
        feedback=counts.get("feedback"),
        overwritten=gallery.galleries.database.has_overwritten,
    )
