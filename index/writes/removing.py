"""Removing subjects and templates, for good."""

from collections.abc import Sequence

from contract.errors import SubjectNotFoundError, TemplateNotFoundError
from index.tables import subjects, templates
from index.writes.effect import Effect
from index.writes.scope import Scope


def remove_subjects(scope: Scope, ids: Sequence[str], *, action: str) -> Effect:
    """Raises SubjectNotFoundError for the first id that is not there."""
    removed: list[int] = []
    numbers = []
    for subject_id in ids:
        known = subjects.find_by_id(scope.c, scope.collection.number, subject_id)
        if known is None:
            raise SubjectNotFoundError(subject_id)
        gone = templates.numbers_of(scope.c, scope.searched, known.number)
        held = subjects.count_held(scope.c, known.number)
        subjects.remove_subject(scope.c, known.number)
        scope.log(action, subject_id, templates=len(gone), **held)
        removed += gone
        numbers.append(known.number)
    scope.count(subjects=-len(ids), templates=-len(removed))
    return Effect(
        revision=scope.revision, subjects=frozenset(numbers), removed=removed, erases=True
    )


def remove_template(scope: Scope, template_id: str) -> Effect:
    """Raises TemplateNotFoundError. The subject stays, even if this was its last template."""
    known = templates.find_template(scope.c, scope.searched, template_id)
    if known is None:
        raise TemplateNotFoundError(template_id)
    templates.remove_template(scope.c, scope.searched, template_id)
    scope.count(templates=-1)
    of = subjects.get_subjects(scope.c, [known.subject_number])[known.subject_number]
    scope.log("remove_template", of.id, template_ids=[template_id])
    return Effect(
        revision=scope.revision,
        subjects=frozenset({known.subject_number}),
        removed=[known.number],
        erases=True,
    )
