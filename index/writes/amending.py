"""Changing what is known of a subject, its templates apart."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from contract.errors import SubjectConflictError, SubjectNotFoundError
from index.records import Subject
from index.tables import subjects
from index.writes.effect import Effect
from index.writes.scope import Scope


def amend(scope: Scope, subject_id: str, facts: Mapping[str, Any]) -> tuple[Subject, Effect]:
    """Overwrite the given fields of a subject, checked by the caller.

    Raises SubjectNotFoundError, or SubjectConflictError: the external id is another's.
    """
    known = subjects.find_by_id(scope.c, scope.collection.number, subject_id)
    if known is None:
        raise SubjectNotFoundError(subject_id)
    external_id = facts.get("external_id")
    if external_id is not None:
        holder = subjects.find_by_external_id(scope.c, scope.collection.number, external_id)
        if holder and holder.number != known.number:
            raise SubjectConflictError(
                f"The external id {external_id!r} belongs to the subject {holder.subject.id!r}, "
                f"not to {subject_id!r}."
            )
    amended = dataclasses.replace(known.subject, **facts)
    subjects.update_subject(scope.c, known.number, amended)
    scope.log("amend", subject_id, fields=sorted(facts))
    # The old name, too, is to be gone from the files.
    return amended, Effect(revision=scope.revision, erases=True)
