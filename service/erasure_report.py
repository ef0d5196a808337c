"""What was erased where, and what may still be: the words of a removal's report."""

from typing import Final

from index.erasure import Erasure
from index.galleries import is_postgres
from service.erasure_answer import ErasedOut, ErasureProof, ErasureReport, PlaceOut
from service.settings import Settings

_BYTES_LEFT: Final = (
    "no search and no answer has it; its bytes lie in freed pages until VACUUM or new rows "
    "overwrite them, and in the database's write-ahead log and its archives"
)
_LOG_HELD: Final = (
    "no search and no answer has it; a long read holds the write-ahead log up, which the next "
    "write or start empties: ask again then"
)


def erasure_report(erasure: Erasure, settings: Settings) -> ErasureReport:
    """From the gallery's record."""
    entry = erasure.entry
    told = entry.told()
    return ErasureReport(
        subject_id=told["subject_id"],
        collection=told["collection"],
        erased_at=entry.at,
        reason="expiry" if erasure.by_expiry else "request",
        gallery_revision=told["revision"],
        erased=ErasedOut(
            embeddings=erasure.embeddings,
            pictures=erasure.crops,
            feedback=erasure.feedback,
            facts=True,
        ),
        places=_places(erasure, settings),
        audit=ErasureProof(place=told["place"], sha256=told["sha256"]),
    )


def _places(erasure: Erasure, settings: Settings) -> list[PlaceOut]:
    gallery = PlaceOut(
        place="gallery",
        state="erased" if erasure.overwritten else "removed",
        detail=_gallery_words(erasure, settings),
    )
    return [
        gallery,
        PlaceOut(
            place="search_index",
            state="erased",
            detail="taken out before the answer; a snapshot of it on disk was deleted",
        ),
        PlaceOut(
            place="audit_log",
            state="kept",
            detail="that the subject of this id was enrolled and removed, and when; no name, no "
            "photo, no embedding",
        ),
        PlaceOut(
            place="exports",
            state="not_reached",
            detail=f"files of exports made before may hold the subject for "
            f"{settings.export_keep_hours:g} hours, and copies of them for longer",
        ),
        PlaceOut(
            place="import_reports",
            state="not_reached",
            detail=f"the report of an import may name its photos for "
            f"{settings.import_report_keep_hours:g} hours",
        ),
        PlaceOut(
            place="answers_kept_for_repeats",
            state="not_reached",
            detail=f"the answer to an enrolment that had an Idempotency-Key stays in memory for "
            f"{settings.idempotency_keep_s:g} seconds at most",
        ),
        PlaceOut(
            place="backups",
            state="not_reached",
            detail="backups are not touched: those made before the removal hold the subject until "
            "they are deleted, and one that is restored brings it back",
        ),
        PlaceOut(
            place="storage",
            state="not_reached",
            detail="spare blocks of a disk and snapshots of a file system are out of reach",
        ),
    ]


def _gallery_words(erasure: Erasure, settings: Settings) -> str:
    if erasure.overwritten:
        return "overwritten in the gallery's files, its write-ahead log emptied"
    return _BYTES_LEFT if is_postgres(settings.gallery) else _LOG_HELD
