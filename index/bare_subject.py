"""A subject that is known before there is a template of it; nothing finds it until then."""

import uuid

from contract.errors import SubjectConflictError
from index.checks import check_facts
from index.gallery import Gallery
from index.records import Subject
from index.tables import subjects
from index.writes.effect import Effect
from index.writes.scope import Scope


def add_subject(gallery: Gallery, *, name: str | None, external_id: str) -> Subject:
    """Store a new subject without a template.

    Raises SubjectConflictError (the external id is another's), ValueError for what cannot be kept,
    GalleryFullError.
    """
    facts = check_facts(name=name, external_id=external_id)

    def add(scope: Scope) -> tuple[Subject, Effect]:
        holder = subjects.find_by_external_id(scope.c, gallery.number, external_id)
        if holder is not None:
            raise SubjectConflictError(
                f"The external id {external_id!r} belongs to the subject {holder.subject.id!r}: "
                "there is nothing to add."
            )
        subject = Subject(
            id=uuid.uuid4().hex, metadata={}, template_count=0, created_at=scope.at, **facts
        )
        subjects.insert_subject(scope.c, scope.collection.number, subject)
        scope.count(subjects=1)
        scope.log("add_subject", subject.id)
        return subject, Effect(revision=scope.revision)

    return gallery.write(add)
