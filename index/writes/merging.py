"""Merging: two subjects turn out to be one."""

import dataclasses

from contract.errors import SubjectNotFoundError
from index.records import StoredSubject, Subject
from index.tables import feedback, subjects, templates
from index.writes.effect import Effect
from index.writes.scope import Scope


def merge(scope: Scope, source_id: str, target_id: str) -> tuple[Subject, Effect]:
    """Give all of `source` to `target`. Raises SubjectNotFoundError, or ValueError for one subject.

    Where both say something, the target is right, except that the earlier expiry counts: what was
    agreed to until then must not be kept longer.
    """
    if source_id == target_id:
        raise ValueError(f"The subject {source_id!r} cannot be merged into itself: name another.")
    source, target = _known(scope, source_id), _known(scope, target_id)
    moved = templates.templates_of(scope.c, scope.searched, source.number)
    templates.move_templates(scope.c, source=source.number, target=target.number)
    feedback.move_feedback(scope.c, source=source.number, target=target.number)
    subjects.remove_subject(scope.c, source.number)
    merged = _merged(source.subject, target.subject)
    subjects.update_subject(scope.c, target.number, merged)
    scope.count(subjects=-1)
    scope.log("merge", target_id, source_id=source_id)
    scope.log("merged_away", source_id, target_id=target_id)
    added = [dataclasses.replace(t, subject_number=target.number) for t in moved]
    return merged, Effect(
        revision=scope.revision,
        subjects=frozenset({source.number, target.number}),
        removed=[t.number for t in moved],
        added=added,
        erases=True,
    )


def _merged(source: Subject, target: Subject) -> Subject:
    expiries = [time for time in (source.expires_at, target.expires_at) if time is not None]
    return dataclasses.replace(
        target,
        name=target.name if target.name is not None else source.name,
        external_id=target.external_id if target.external_id is not None else source.external_id,
        metadata={**source.metadata, **target.metadata},
        template_count=source.template_count + target.template_count,
        expires_at=min(expiries, default=None),
        consent_ref=target.consent_ref if target.consent_ref is not None else source.consent_ref,
    )


def _known(scope: Scope, subject_id: str) -> StoredSubject:
    known = subjects.find_by_id(scope.c, scope.collection.number, subject_id)
    if known is None:
        raise SubjectNotFoundError(subject_id)
    return known
