"""Removing everybody from a collection, which stays."""

from dataclasses import dataclass
from typing import Final

from index.gallery import Gallery
from index.tables import subjects
from index.writes.effect import Effect
from index.writes.removing import remove_subjects
from index.writes.scope import Scope

_AT_A_TIME: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """How many were removed."""

    subjects: int = 0
    templates: int = 0


def remove_all_subjects(gallery: Gallery) -> Cleared:
    """Remove all subjects with all their templates, some hundreds in a write.

    Who is enrolled meanwhile is removed, too. An error in between leaves the others.
    """
    total = Cleared()
    # A collection of nobody needs no write.
    while gallery.subject_count:
        done = gallery.write(_remove_some)
        if not done.subjects:
            break
        total = Cleared(
            subjects=total.subjects + done.subjects, templates=total.templates + done.templates
        )
    return total


def _remove_some(scope: Scope) -> tuple[Cleared, Effect]:
    found = subjects.list_subjects(scope.c, scope.collection.number, after=0, limit=_AT_A_TIME)
    effect = remove_subjects(scope, [row.subject.id for row in found], action="remove")
    return Cleared(subjects=len(found), templates=len(effect.removed)), effect
