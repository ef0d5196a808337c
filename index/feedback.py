"""Feedback on answers: what people say of a face that was searched for, kept with the collection.

It changes no template and no threshold. A calibration may count it (index/told_searches.py).
"""

from dataclasses import dataclass

from contract.errors import FeedbackNotFoundError, FeedbackOutdatedError, SubjectNotFoundError
from index.checks import check_place
from index.open_collection import OpenCollection
from index.scoring import ScoringName
from index.tables import collections, feedback, subjects
from index.tables.feedback import Answered, Feedback, FeedbackVerdict
from index.writes.effect import Effect
from index.writes.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A verdict on a search. Fields as of Feedback; the subjects by their ids."""

    id: str
    verdict: FeedbackVerdict
    subject_id: str
    subject_similarity: float | None
    other_id: str | None
    other_similarity: float | None
    answered: Answered
    contract_id: str
    scoring: ScoringName
    gallery_subjects: int
    gallery_templates: int
    gallery_revision: int
    searched_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackPage:
    """Some feedback, newest first. next_before: where the next page begins, None at the end."""

    feedback: tuple[Feedback, ...]
    next_before: str | None


def give_feedback(collection: OpenCollection, told: Told, *, most: int) -> tuple[Feedback, bool]:
    """Keep a verdict in place of what was said of the same search before; whether it is the first.

    The newest `most` of a collection are kept. Saying the same again is no write.
    Raises SubjectNotFoundError, or FeedbackOutdatedError: another contract is searched by now.
    """
    known = collection.read(
        lambda scope: feedback.find_feedback(scope.c, collection.number, told.id)
    )
    if known is not None:
        before = known.feedback
        if (before.verdict, before.subject_id) == (told.verdict, told.subject_id):
            return before, False
    return collection.write(lambda scope: _given(scope, told, most))


def feedback_page(
    collection: OpenCollection, *, limit: int, before: str | None = None
) -> FeedbackPage:
    """Up to `limit`, the newest first. `before` is the `next_before` of the page before.

    Raises ValueError.
    """
    place = check_place(before, what="before", name="next_before")
    # One more than asked tells whether there is a next page.
    rows = collection.read(
        lambda scope: feedback.list_feedback(
            scope.c,
            collection.number,
            before=place,
            limit=limit + 1,
        )
    )
    return FeedbackPage(
        feedback=tuple(row.feedback for row in rows[:limit]),
        next_before=str(rows[limit - 1].number) if len(rows) > limit else None,
    )


def remove_feedback(collection: OpenCollection, feedback_id: str) -> None:
    """Take back what was said. Raises FeedbackNotFoundError."""

    def remove(scope: Scope) -> tuple[None, Effect]:
        known = feedback.find_feedback(scope.c, scope.collection.number, feedback_id)
        if known is None:
            raise FeedbackNotFoundError(feedback_id)
        feedback.remove_feedback(scope.c, known.number)
        scope.log("remove_feedback", feedback_id=feedback_id)
        return None, Effect(revision=scope.revision, erases=True)

    collection.write(remove)


def _given(scope: Scope, told: Told, most: int) -> tuple[tuple[Feedback, bool], Effect]:
    searched = collections.get_contract(scope.c, scope.searched.contract)
    if searched.id != told.contract_id:
        raise FeedbackOutdatedError(scope.collection.id)
    subject = subjects.find_by_id(scope.c, scope.collection.number, told.subject_id)
    if subject is None:
        raise SubjectNotFoundError(told.subject_id)
    other = None
    if told.other_id is not None:
        other = subjects.find_by_id(scope.c, scope.collection.number, told.other_id)
    said = Feedback(
        id=told.id,
        verdict=told.verdict,
        subject_id=told.subject_id,
        subject_number=subject.number,
        # A similarity to somebody who was removed since is nobody's any more.
        other_number=other.number if other else None,
        subject_similarity=told.subject_similarity,
        other_similarity=told.other_similarity if other else None,
        answered=told.answered,
        contract_id=told.contract_id,
        scoring=told.scoring,
        gallery_subjects=told.gallery_subjects,
        gallery_templates=told.gallery_templates,
        gallery_revision=told.gallery_revision,
        searched_at=told.searched_at,
        given_at=scope.at,
    )
    known = feedback.find_feedback(scope.c, scope.collection.number, told.id)
    if known is None:
        feedback.insert_feedback(scope.c, scope.searched, said)
        feedback.keep_newest(scope.c, scope.collection.number, most=most)
    else:
        feedback.change_feedback(scope.c, known.number, said)
    # Without the subject: the log outlives it.
    scope.log("feedback", feedback_id=told.id, verdict=told.verdict)
    return (said, known is None), Effect(revision=scope.revision)
