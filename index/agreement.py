"""Whether an enrolment and the store mean the same subject."""

from contract.errors import SubjectConflictError
from index.checks import metadata_text
from index.records import StoredSubject, Subject
from index.store import GalleryStore


def find_known(store: GalleryStore, given: Subject, *, by_id: bool) -> StoredSubject | None:
    """The subject that an enrolment adds to, None for a new one.

    by_id: the caller chose the id; else only the external id can tell.
    Raises SubjectConflictError if the external id is another subject's.
    """
    named = store.subject_by_id(given.id) if by_id else None
    if given.external_id is None:
        return named
    holder = store.subject_by_external_id(given.external_id)
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
