"""An import: each photo of a zip to a template or to the reasons why not, exactly once.

A template's id follows from the collection, the subject and the photo's bytes. So whoever was
killed between the commit and the report's line finds the template there, and stores it no second
time; and so does an import of other options, or of a larger zip, with the same photo in it. A table
may name the id instead, to keep those of where the photos come from.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contract.errors import (
    ImageError,
    NoUsableFaceError,
    PossibleDuplicateError,
    SubjectConflictError,
    TemplateExistsError,
    TemplateNotFoundError,
)
from index.gallery import Gallery
from index.own_subject import find_own
from service.enroll_warnings import warnings_of
from service.enrolment import Enrolled, SubjectWish, Terms, Upload, enroll
from service.imports.archive import PhotoArchive, PhotoEntry, UnreadablePhoto
from service.imports.line import ImportLine
from service.imports.report import Report
from service.imports.table import Table
from service.options import StoreImage
from service.recognizer import Recognizer, Timing
from service.request_error import RequestError

# What is wrong with one photo, and leaves the others to be enrolled.
_REFUSALS: Final = (
    ImageError,
    NoUsableFaceError,
    PossibleDuplicateError,
    RequestError,
    SubjectConflictError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportWish:
    """An import as it was asked for. id: of the same archive and options, always the same.

    made_at: when the collection was made, so that one made anew is imported into anew.
    """

    id: str
    made_at: str
    terms: Terms
    store_image: StoreImage
    table: Table
    max_image_bytes: int


def import_id(archive_sha256: str, made_at: str, options: dict[str, Any]) -> str:
    """64 hex digits."""
    text = json.dumps([archive_sha256, made_at, options], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def import_photos(
    recognizer: Recognizer,
    gallery: Gallery,
    archive: PhotoArchive,
    report: Report,
    wish: ImportWish,
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """Enrol what the report does not have yet; counts by outcome and reason, over all runs.

    Raises what makes going on pointless: GalleryUnavailableError, ContractMismatchError, or what
    `progress` raises. The same import goes on there when it is sent again.
    """
    continued = len(report.done)
    for entry in archive:
        progress(entry.index / len(archive))
        if entry.index not in report.done:
            report.add(_line(recognizer, gallery, archive, entry, wish))
    return {
        "import_id": wish.id,
        "photo_count": len(archive),
        "done_before_count": continued,
        "outcomes": dict(report.outcomes),
        "reasons": dict(report.reasons),
    }


def _line(
    recognizer: Recognizer,
    gallery: Gallery,
    archive: PhotoArchive,
    entry: PhotoEntry,
    wish: ImportWish,
) -> ImportLine:
    try:
        data = archive.read(entry, max_bytes=wish.max_image_bytes)
    except UnreadablePhoto as error:
        return _rejected(entry, (error.reason,), str(error))
    subject = _subject(gallery, entry, wish)
    ids = [_template_id(gallery, subject, data, wish)]
    row = wish.table.rows.get(entry.path)
    if row and row.template_id:
        ids.insert(0, row.template_id)
    for template_id in ids:
        if there := _already(gallery, entry, template_id):
            return there
    try:
        return _stored(recognizer, gallery, entry, data, subject, wish.terms, ids)
    except _REFUSALS as error:
        return _rejected(entry, _reasons(error), str(error))


def _stored(
    recognizer: Recognizer,
    gallery: Gallery,
    entry: PhotoEntry,
    data: bytes,
    subject: SubjectWish,
    terms: Terms,
    template_ids: Sequence[str],
) -> ImportLine:
    """Under the first id that is free. Raises _REFUSALS."""
    upload = Upload(filename=entry.path, data=data)
    for template_id in template_ids:
        try:
            enrolled = enroll(
                recognizer, gallery, [upload], subject, terms, [template_id], timing=Timing()
            )
        except TemplateExistsError:
            # Another replica, with the same import, a moment ago; or a chosen id is one of
            # another collection.
            if there := _already(gallery, entry, template_id):
                return there
        else:
            return _enrolled(entry, enrolled)
    return _rejected(entry, (), "It was removed.")


def _enrolled(entry: PhotoEntry, enrolled: Enrolled) -> ImportLine:
    return ImportLine(
        index=entry.index,
        path=entry.path,
        outcome="enrolled",
        subject_id=enrolled.enrollment.subject.id,
        template_id=enrolled.enrollment.template_ids[0],
        warnings=tuple(warnings_of(enrolled.duplicates)),
    )


def _template_id(gallery: Gallery, subject: SubjectWish, data: bytes, wish: ImportWish) -> str:
    photo = hashlib.sha256(data).hexdigest()
    who = [subject.subject_id, None if subject.subject_id else subject.external_id]
    text = json.dumps([gallery.collection_id, wish.made_at, who, photo])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _already(gallery: Gallery, entry: PhotoEntry, template_id: str) -> ImportLine | None:
    try:
        template = gallery.template(template_id)
    except TemplateNotFoundError:
        return None
    return ImportLine(
        index=entry.index,
        path=entry.path,
        outcome="already_enrolled",
        subject_id=template.subject_id,
        template_id=template.id,
    )


def _subject(gallery: Gallery, entry: PhotoEntry, wish: ImportWish) -> SubjectWish:
    """Who the table says, else the folder, whose name a new subject gets."""
    row = wish.table.rows.get(entry.path)
    name = row.name if row else None
    if row and (row.subject_id or row.external_id):
        subject_id, external_id = row.subject_id, row.external_id
    else:
        subject_id, external_id = None, entry.folder
        if name is None and not _known(gallery, entry.folder):
            name = entry.folder
    return SubjectWish(
        subject_id=subject_id,
        name=name,
        external_id=external_id,
        metadata=row.metadata if row else None,
        store_image=wish.store_image,
    )


def _known(gallery: Gallery, external_id: str) -> bool:
    """One who is there keeps the name there is."""
    return find_own(gallery, subject_id=None, external_id=external_id) is not None


def _reasons(error: Exception) -> tuple[str, ...]:
    if isinstance(error, ImageError):
        return (error.reason,)
    if isinstance(error, NoUsableFaceError):
        return tuple(reason for _, reasons in error.items for reason in reasons)
    if isinstance(error, PossibleDuplicateError):
        return ("possible_duplicate",)
    return ("subject_conflict" if isinstance(error, SubjectConflictError) else "invalid_request",)


def _rejected(entry: PhotoEntry, reasons: tuple[str, ...], detail: str) -> ImportLine:
    return ImportLine(
        index=entry.index, path=entry.path, outcome="rejected", reasons=reasons, detail=detail
    )
