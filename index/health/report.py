"""The health report of a collection: duplicates, mislabelled and outlying templates.

Shapes: N templates, S subjects, D embedding size.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from index.gallery import Gallery
from index.health.enrolled import Enrolled, read_enrolled
from index.health.findings import Findings, find_faults
from index.health.likeness import Likeness, likeness
from index.health.records import (
    DuplicateSubjects,
    HealthReport,
    MislabelledTemplate,
    OutlyingTemplates,
    Side,
)
from index.tables import subjects, templates
from index.writes.scope import Scope

MAX_TEMPLATES: Final = 100_000
# What chance does is learnt from pairs of subjects; fewer have too few of them.
MIN_SUBJECTS: Final = 20


def health_report(
    gallery: Gallery,
    *,
    max_templates: int = MAX_TEMPLATES,
    progress: Callable[[float], None] = lambda done: None,
) -> HealthReport:
    """Look for what is probably wrong in a collection, by its embeddings alone.

    Read in one transaction, then computed without one, so that writes go on; whoever is erased or
    expires meanwhile, and a template that moves, is not reported. Work O(N (N + S) D), memory
    O(N D). progress: hears the share that is done, 0 to 1, and may raise to stop.
    Raises GalleryTooLargeError: more than `max_templates`, or GalleryUnavailableError.
    """
    progress(0.0)
    all_of = read_enrolled(gallery, max_templates=max_templates)
    if len(all_of.counts) < MIN_SUBJECTS:
        return _summary(gallery, all_of)
    like = likeness(all_of, lambda done: progress(0.05 + 0.9 * done))
    findings = find_faults(all_of, like)
    names = _names(gallery, all_of, findings, like)
    report = _in_ids(_summary(gallery, all_of), all_of, findings, like, names)
    progress(1.0)
    return report


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """Ids by place, of those that are still there as they were looked at."""

    subjects: dict[int, str]
    templates: dict[int, str]


def _summary(gallery: Gallery, all_of: Enrolled) -> HealthReport:
    """Without any finding."""
    subjects = len(all_of.counts)
    too_little = None
    if subjects < MIN_SUBJECTS:
        too_little = (
            f"The collection has {subjects} subjects with templates. How similar people are by "
            f"chance is learnt from it, which takes {MIN_SUBJECTS}: nothing was judged."
        )
    return HealthReport(
        collection_id=gallery.collection_id,
        gallery_revision=all_of.revision,
        subject_count=subjects,
        template_count=len(all_of.embeddings),
        single_template_subject_count=int((all_of.counts == 1).sum()),
        too_little=too_little,
        duplicate_similarity=None,
        duplicates=(),
        mislabelled=(),
        outlying=(),
    )


def _names(gallery: Gallery, all_of: Enrolled, findings: Findings, like: Likeness) -> _Names:
    places = {*findings.mislabelled, *(p for group in findings.outlying for p in group)}
    whose = {
        *(subject for pair in findings.duplicates for subject in pair),
        *(int(all_of.owners[place]) for place in places),
        *(int(like.nearest[place]) for place in findings.mislabelled),
    }

    def look(scope: Scope) -> _Names:
        numbers = {int(all_of.subject_numbers[subject]): subject for subject in whose}
        known = {
            numbers[number]: subject
            for number, subject in subjects.get_subjects(scope.c, numbers).items()
            if not subject.has_expired(scope.at)
        }
        of_place = {int(all_of.numbers[place]): place for place in places}
        held = templates.get_templates(scope.c, of_place, scope.searched.size)
        return _Names(
            subjects={subject: stored.id for subject, stored in known.items()},
            templates={
                of_place[number]: template.id
                for number, template in held.items()
                if template.subject_number
                == all_of.subject_numbers[all_of.owners[of_place[number]]]
            },
        )

    return gallery.read(look)


def _in_ids(
    summary: HealthReport, all_of: Enrolled, findings: Findings, like: Likeness, names: _Names
) -> HealthReport:
    """The summary with the findings of which everybody is still there."""

    def there(*places: int) -> bool:
        return {*places} <= names.templates.keys() and owner(places[0]) in names.subjects

    def owner(place: int) -> int:
        return int(all_of.owners[place])

    def side(one: int, other: int) -> Side:
        return Side(
            subject_id=names.subjects[one],
            template_count=int(all_of.counts[one]),
            nearest_count=int((like.nearest[all_of.owners == one] == other).sum()),
        )

    return replace(
        summary,
        duplicate_similarity=min(findings.duplicates.values(), default=None),
        duplicates=tuple(
            DuplicateSubjects(first=side(a, b), second=side(b, a), similarity=similarity)
            for (a, b), similarity in findings.duplicates.items()
            if {a, b} <= names.subjects.keys()
        ),
        mislabelled=tuple(
            MislabelledTemplate(
                template_id=names.templates[place],
                subject_id=names.subjects[owner(place)],
                looks_like=names.subjects[int(like.nearest[place])],
                similarity=float(like.near[place]),
                own_similarity=float(like.own[place]),
                strangers_nearer=float(like.strangers_nearer[place]),
            )
            for place in findings.mislabelled
            if there(place) and int(like.nearest[place]) in names.subjects
        ),
        outlying=tuple(
            OutlyingTemplates(
                template_ids=tuple(names.templates[place] for place in group),
                subject_id=names.subjects[owner(group[0])],
                own_similarity=float(like.own[list(group)].max()),
                strangers_nearer=float(like.strangers_nearer[list(group)].min()),
            )
            for group in findings.outlying
            if there(*group)
        ),
    )
