"""Restoring: subjects as an export file has them, with their own ids and times.

Each subject of the file is taken alone: `new`, `extended` by the templates or pictures that were
not there, `unchanged`, a `conflict` (nothing of it is changed then) or `expired` (it stays away).
Shapes: M templates of a subject, D embedding size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from index.checks import metadata_text
from index.records import Embeddings, StoredSubject, Subject
from index.tables import audit, bulk, templates
from index.tables.bulk import HeldTemplate
from index.writes.effect import Effect
from index.writes.scope import Scope

Outcome = Literal["new", "extended", "unchanged", "conflict", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ToRestore:
    """A checked subject. embeddings: float32 (M, D), plain. crops: M pictures, or none of them."""

    subject: Subject
    template_ids: Sequence[str]
    created_at: Sequence[str]
    embeddings: Embeddings
    crops: Sequence[bytes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What became of a subject. templates: how many were added. detail: why it is a conflict."""

    subject_id: str
    outcome: Outcome
    templates: int = 0
    detail: str | None = None


class _Conflict(Exception):  # noqa: N818 - one item's outcome, no error
    """The subject cannot be taken."""


@dataclass(slots=True)
class _There:
    """What the gallery, and what is planned of this block, has of the names in the wishes."""

    subjects: dict[str, StoredSubject]
    external_ids: dict[str, str]
    templates: dict[str, HeldTemplate | None]
    seen: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Step:
    """What is to be stored of a wish: positions of templates and of pictures."""

    wish: ToRestore
    known: StoredSubject | None
    missing: Sequence[int]
    pictures: Sequence[int]


def restore(scope: Scope, wishes: Sequence[ToRestore]) -> tuple[list[Restored], Effect]:
    """What became of each, in order. A name that occurs twice among them is a conflict."""
    c, number = scope.c, scope.collection.number
    there = _There(
        bulk.known_subjects(c, number, (w.subject.id for w in wishes)),
        bulk.external_id_holders(
            c, number, (w.subject.external_id for w in wishes if w.subject.external_id is not None)
        ),
        dict(
            bulk.held_templates(
                c, scope.searched.contract, (name for w in wishes for name in w.template_ids)
            )
        ),
    )
    results, steps = [], []
    for wish in wishes:
        subject_id, expires_at = wish.subject.id, wish.subject.expires_at
        if expires_at is not None and expires_at <= scope.at:
            results.append(Restored(subject_id=subject_id, outcome="expired"))
            continue
        try:
            step = _planned(scope, there, wish)
        except _Conflict as conflict:
            results.append(
                Restored(subject_id=subject_id, outcome="conflict", detail=str(conflict))
            )
            continue
        results.append(
            Restored(subject_id=subject_id, outcome=_outcome(step), templates=len(step.missing))
        )
        if results[-1].outcome != "unchanged":
            steps.append(step)
    return results, _carried_out(scope, steps)


def _outcome(step: _Step) -> Outcome:
    if step.known is None:
        return "new"
    return "extended" if step.missing or step.pictures else "unchanged"


def _planned(scope: Scope, there: _There, wish: ToRestore) -> _Step:
    """What is to be done. Raises _Conflict."""
    subject = wish.subject
    if subject.id in there.seen:
        raise _Conflict("it occurs twice")
    if len(set(wish.template_ids)) < len(wish.template_ids):
        raise _Conflict("a template id occurs twice")
    known = there.subjects.get(subject.id)
    if known:
        _check_facts(known.subject, subject)
        step = _additions(scope, there, known, wish)
    else:
        _check_names(there, wish)
        pictures = [i for i, crop in enumerate(wish.crops) if crop is not None]
        missing = range(len(wish.template_ids))
        step = _Step(wish=wish, known=None, missing=missing, pictures=pictures)
    # Those who come later in this block must not take the same names.
    there.seen.add(subject.id)
    if subject.external_id is not None:
        there.external_ids[subject.external_id] = subject.id
    for template_id in wish.template_ids:
        there.templates.setdefault(template_id, None)
    return step


def _check_names(there: _There, wish: ToRestore) -> None:
    external_id = wish.subject.external_id
    if external_id is not None and external_id in there.external_ids:
        raise _Conflict(
            f"the external id {external_id!r} belongs to {there.external_ids[external_id]!r}"
        )
    for template_id in wish.template_ids:
        if template_id in there.templates:
            raise _Conflict(f"the template id {template_id!r} belongs to another subject")


def _check_facts(stored: Subject, given: Subject) -> None:
    for what, there, new in (
        ("name", stored.name, given.name),
        ("external id", stored.external_id, given.external_id),
        ("metadata", metadata_text(stored.metadata), metadata_text(given.metadata)),
        ("time of creation", stored.created_at, given.created_at),
        ("time of expiry", stored.expires_at, given.expires_at),
        ("consent reference", stored.consent_ref, given.consent_ref),
    ):
        if there != new:
            raise _Conflict(f"the {what} is another one here")


def _additions(scope: Scope, there: _There, known: StoredSubject, wish: ToRestore) -> _Step:
    """The templates and pictures that a known subject has not yet. Raises _Conflict."""
    missing, pictures = [], []
    for i, template_id in enumerate(wish.template_ids):
        if template_id not in there.templates:
            missing.append(i)
            pictures += [i] if wish.crops[i] is not None else []
            continue
        held = there.templates[template_id]
        if (
            held is None
            or held.subject_number != known.number
            or held.contract_number != scope.searched.contract
        ):
            raise _Conflict(f"the template id {template_id!r} is taken by another template")
        embedding = scope.c.unpack([held.embedding], size=scope.searched.size)[0]
        same = scope.searched.protection.same(embedding, wish.embeddings[i])
        if not same or held.created_at != wish.created_at[i]:
            raise _Conflict(f"the template {template_id!r} is another one here")
        if wish.crops[i] is not None:
            crop = templates.get_crop(scope.c, template_id)
            if crop is None:
                pictures.append(i)
            elif crop != wish.crops[i]:
                raise _Conflict(f"the template {template_id!r} has another picture here")
    return _Step(wish=wish, known=known, missing=missing, pictures=pictures)


def _carried_out(scope: Scope, steps: Sequence[_Step]) -> Effect:
    c, collection = scope.c, scope.collection
    new = [step.wish.subject for step in steps if step.known is None]
    numbers = bulk.insert_subjects(c, collection.number, new)
    numbers.update((s.known.subject.id, s.known.number) for s in steps if s.known)
    rows: list[tuple[int, str, str, Embeddings]] = []
    crops: list[tuple[str, int, bytes]] = []
    details = []
    for step in steps:
        wish = step.wish
        number = numbers[wish.subject.id]
        missing = list(step.missing)
        protected = scope.searched.protection.protect(wish.embeddings[missing])
        rows += [
            (number, wish.template_ids[i], wish.created_at[i], embedding)
            for i, embedding in zip(missing, protected, strict=True)
        ]
        for i in step.pictures:
            crop = wish.crops[i]
            assert crop is not None
            crops.append((wish.template_ids[i], number, crop))
        ids = [wish.template_ids[i] for i in step.missing]
        details.append((wish.subject.id, {"template_ids": ids}))
    stored = bulk.insert_templates(c, scope.searched, rows)
    bulk.insert_crops(c, crops)
    audit.log_many(c, collection, "restore", at=scope.at, details=details)
    scope.count(subjects=len(new), templates=len(rows))
    return Effect(
        revision=scope.revision,
        subjects=frozenset(row[0] for row in rows),
        added=stored,
    )
