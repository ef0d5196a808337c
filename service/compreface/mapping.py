"""CompreFace's names for our rows.

There a subject *is* its name. Here that is the external id, which is unique, too; a subject without
one, enrolled by /v1/enroll, goes by its id. An image is a template; image ids are spelt as UUIDs.
"""

import contextlib
import uuid
from collections.abc import Iterator

from contract.errors import SubjectNotFoundError
from index.bare_subject import add_subject
from index.gallery import PAGE_MAX, Gallery
from index.records import Subject
from service.request_error import RequestError
from service.subject_change import change_subject, merge_subjects


def name_of(subject: Subject) -> str:
    """What CompreFace's callers know a subject by."""
    return subject.id if subject.external_id is None else subject.external_id


def image_id_of(template_id: str) -> str:
    """The image id of a template: its id as a UUID, if it is one."""
    try:
        as_uuid = uuid.UUID(template_id)
    except ValueError:
        return template_id
    return str(as_uuid) if as_uuid.hex == template_id else template_id


def template_id_of(image_id: str) -> str:
    """The template of an image id, or what is no template's id."""
    try:
        return uuid.UUID(image_id).hex
    except ValueError:
        return image_id


def all_subjects(gallery: Gallery) -> Iterator[Subject]:
    """Everybody in the order of creation."""
    after = None
    while True:
        page = gallery.subjects(limit=PAGE_MAX, after=after)
        yield from page.subjects
        if page.next_after is None:
            return
        after = page.next_after


def find(gallery: Gallery, name: str) -> Subject:
    """The subject of that name. Raises SubjectNotFoundError."""
    page = gallery.subjects(limit=1, external_id=name)
    if page.subjects:
        return page.subjects[0]
    subject = gallery.subject(name)
    if subject.external_id is not None:
        # It goes by another name.
        raise SubjectNotFoundError(name)
    return subject


def known(gallery: Gallery, name: str) -> Subject | None:
    """The subject of that name, or None."""
    with contextlib.suppress(SubjectNotFoundError):
        return find(gallery, name)
    return None


def create(gallery: Gallery, name: str) -> Subject:
    """A new subject. Raises SubjectConflictError, or RequestError for what cannot be a name."""
    try:
        return add_subject(gallery, name=name, external_id=name)
    except ValueError as error:
        raise RequestError("subject", str(error)) from error


def rename(gallery: Gallery, old: str, new: str) -> bool:
    """Call a subject otherwise, or merge it into the one that is called so; False: nothing to do.

    Raises SubjectNotFoundError, or RequestError for what cannot be a name.
    """
    if new == old:
        return False
    subject, other = find(gallery, old), known(gallery, new)
    if other is not None:
        merge_subjects(gallery, subject.id, into=other.id)
        return True
    facts = {"external_id": new}
    if subject.name in (None, old):
        # A name of its own, for people to read, stays.
        facts["name"] = new
    change_subject(gallery, subject.id, facts)
    return True
