"""Enrolling: new templates, of a subject that is there or made now."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from contract.errors import SubjectConflictError, TemplateExistsError
from index.checks import metadata_text
from index.database import Connection
from index.records import Embeddings, Enrollment, StoredSubject, StoredTemplate, Subject
from index.tables import subjects, templates
from index.writes.effect import Effect
from index.writes.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A checked enrolment. embeddings: float32 (M, D), plain. crops: M pictures, or none of them.

    by_id: the caller chose the subject's id; else only the external id can tell who it is.
    ids_chosen: the caller chose the templates' ids, so that they may be there already.
    """

    subject: Subject
    by_id: bool
    metadata_given: bool
    template_ids: tuple[str, ...]
    ids_chosen: bool = False
    embeddings: Embeddings
    crops: Sequence[bytes | None]


def enrol(scope: Scope, wish: Wish) -> tuple[Enrollment, Effect]:
    """Raises TemplateExistsError, or SubjectConflictError: the subject says something else."""
    known, enrollment = foresee(scope, wish)
    if known:
        number = known.number
    else:
        made = dataclasses.replace(enrollment.subject, template_count=0)
        number = subjects.insert_subject(scope.c, scope.collection.number, made)
    protected = scope.searched.protection.protect(wish.embeddings)
    added = [
        add_template(
            scope,
            StoredTemplate(
                number=0,
                subject_number=number,
                id=template_id,
                created_at=scope.at,
                embedding=embedding,
            ),
            crop,
        )
        for template_id, embedding, crop in zip(
            wish.template_ids, protected, wish.crops, strict=True
        )
    ]
    scope.count(subjects=known is None, templates=len(added))
    scope.log("enrol", enrollment.subject.id, template_ids=wish.template_ids)
    return enrollment, Effect(revision=scope.revision, subjects=frozenset({number}), added=added)


def foresee(scope: Scope, wish: Wish) -> tuple[StoredSubject | None, Enrollment]:
    """The subject that is added to, None for a new one, and what the enrolment comes to.

    Nothing is stored. Raises what enrol raises.
    """
    for template_id in wish.template_ids if wish.ids_chosen else ():
        if templates.is_taken(scope.c, scope.searched, template_id):
            raise TemplateExistsError(template_id)
    known = find_known(scope.c, scope.collection.number, wish.subject, by_id=wish.by_id)
    if known:
        check_agreement(known.subject, wish.subject, metadata_given=wish.metadata_given)
        before = known.subject
    else:
        before = dataclasses.replace(wish.subject, created_at=scope.at)
    added = len(wish.template_ids)
    return known, Enrollment(
        subject=dataclasses.replace(before, template_count=before.template_count + added),
        created=known is None,
        template_ids=wish.template_ids,
        revision=scope.revision,
    )


def add_template(scope: Scope, template: StoredTemplate, crop: bytes | None) -> StoredTemplate:
    """Insert a template, as it is stored, under the contract that is searched, with its picture if
    it has one."""
    number = templates.insert_template(scope.c, scope.searched, template)
    if crop is not None:
        templates.insert_crop(scope.c, template.id, template.subject_number, crop)
    return dataclasses.replace(template, number=number)


def find_known(
    c: Connection, collection: int, given: Subject, *, by_id: bool
) -> StoredSubject | None:
    """The subject that an enrolment adds to, None for a new one.

    Raises SubjectConflictError if the external id is another subject's.
    """
    named = subjects.find_by_id(c, collection, given.id) if by_id else None
    if given.external_id is None:
        return named
    holder = subjects.find_by_external_id(c, collection, given.external_id)
    if by_id and holder and holder.subject.id != given.id:
        raise SubjectConflictError(
            f"The external id {given.external_id!r} belongs to the subject "
            f"{holder.subject.id!r}, not to {given.id!r}."
        )
    return named or holder


def check_agreement(stored: Subject, given: Subject, *, metadata_given: bool) -> None:
    """Raise SubjectConflictError where something given differs from what is stored."""
    for what, there, new in (
        ("name", stored.name, given.name),
        ("external id", stored.external_id, given.external_id),
        ("time of expiry", stored.expires_at, given.expires_at),
        ("consent reference", stored.consent_ref, given.consent_ref),
    ):
        if new is not None and new != there:
            raise SubjectConflictError(
                f"The subject {stored.id!r} has the {what} {there!r}, the enrolment says {new!r}: "
                f"send the stored {what} or none."
            )
    if metadata_given and metadata_text(stored.metadata) != metadata_text(given.metadata):
        raise SubjectConflictError(
            f"The subject {stored.id!r} has other metadata than the enrolment says: "
            "send the stored metadata or none."
        )
