"""The statements about feedback, what people said of answers. Each takes a transaction."""

from dataclasses import dataclass
from typing import Any, Literal

from index.checks import cannot_be_stored
from index.database import Connection
from index.tables.templates import UnderContract

FeedbackVerdict = Literal["confirmed", "rejected"]
Answered = Literal["match", "unknown", "not_evaluated"]

# `s` is whom the verdict is about.
_SELECT = """
SELECT f.number, f.id, f.verdict, s.id, f.subject_number, f.other_number, f.subject_similarity,
    f.other_similarity, f.answered, k.id, f.scoring, f.gallery_subjects, f.gallery_templates,
    f.gallery_revision, f.searched_at, f.given_at
FROM feedback f JOIN subjects s ON s.number = f.subject_number
    JOIN contracts k ON k.number = f.contract_number
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What somebody said of a face that had been searched for: scores, no photo, no embedding.

    verdict: the face is that of the subject, or is not. subject_similarity: to that subject; None
    where it was not among the two best. other_number, other_similarity: the best subject of those
    whom the face does not show; None where nobody is known. answered: the decision that was given.
    gallery_*: of the collection then, contract_id and scoring of the search. Times: RFC 3339, UTC.
    """

    id: str
    verdict: FeedbackVerdict
    subject_id: str
    subject_number: int
    other_number: int | None
    subject_similarity: float | None
    other_similarity: float | None
    answered: Answered
    contract_id: str
    scoring: str
    gallery_subjects: int
    gallery_templates: int
    gallery_revision: int
    searched_at: str
    given_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFeedback:
    """Feedback and its number in the store: rising in the order in which it was first given."""

    number: int
    feedback: Feedback


def find_feedback(c: Connection, collection: int, feedback_id: str) -> StoredFeedback | None:
    """The feedback of that id, or None."""
    if cannot_be_stored(feedback_id):
        return None
    where = "WHERE f.collection_number = ? AND f.id = ?"
    rows = c.execute(f"{_SELECT} {where}", (collection, feedback_id))
    return _stored(rows[0]) if rows else None


def list_feedback(
    c: Connection, collection: int, *, before: int | None, limit: int
) -> list[StoredFeedback]:
    """Up to `limit`, the newest first; of numbers below `before`, any for None."""
    where, values = "WHERE f.collection_number = ?", [collection]
    if before is not None:
        where, values = f"{where} AND f.number < ?", [collection, before]
    sql = f"{_SELECT} {where} ORDER BY f.number DESC LIMIT ?"
    return [_stored(row) for row in c.execute(sql, (*values, limit))]


def all_feedback(c: Connection, collection: int) -> list[Feedback]:
    """Everything of a collection, the newest first."""
    where = "WHERE f.collection_number = ? ORDER BY f.number DESC"
    return [_stored(row).feedback for row in c.execute(f"{_SELECT} {where}", (collection,))]


def feedback_naming(c: Connection, subject: int) -> list[Feedback]:
    """All that has a similarity to a subject, oldest first."""
    where = "WHERE f.subject_number = ? OR f.other_number = ? ORDER BY f.number"
    return [_stored(row).feedback for row in c.execute(f"{_SELECT} {where}", (subject, subject))]


def insert_feedback(c: Connection, of: UnderContract, feedback: Feedback) -> None:
    """New feedback on a search under the contract that `of` says."""
    c.execute(
        "INSERT INTO feedback (collection_number, contract_number, id, answered, scoring,"
        " gallery_subjects, gallery_templates, gallery_revision, searched_at, verdict,"
        " subject_number, other_number, subject_similarity, other_similarity, given_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            of.collection,
            of.contract,
            feedback.id,
            feedback.answered,
            feedback.scoring,
            feedback.gallery_subjects,
            feedback.gallery_templates,
            feedback.gallery_revision,
            feedback.searched_at,
            *_said(feedback),
        ),
    )


def change_feedback(c: Connection, number: int, feedback: Feedback) -> None:
    """Say something else of the same search."""
    c.execute(
        "UPDATE feedback SET verdict = ?, subject_number = ?, other_number = ?,"
        " subject_similarity = ?, other_similarity = ?, given_at = ? WHERE number = ?",
        (*_said(feedback), number),
    )


def keep_newest(c: Connection, collection: int, *, most: int) -> None:
    """Remove the oldest of a collection where there are more than `most`."""
    c.execute(
        "DELETE FROM feedback WHERE collection_number = ? AND number <= (SELECT number"
        " FROM feedback WHERE collection_number = ? ORDER BY number DESC LIMIT 1 OFFSET ?)",
        (collection, collection, most),
    )


def move_feedback(c: Connection, *, source: int, target: int) -> None:
    """Let all that is said of one subject be said of another: they turned out to be the same.

    Where one of them was confirmed and the other was the best of the rest, that best similarity is
    of the same person: such feedback says nothing any more, and is removed.
    """
    pair = (source, target)
    c.execute(
        "DELETE FROM feedback WHERE subject_number IN (?, ?) AND other_number IN (?, ?)"
        " AND subject_number <> other_number",
        (*pair, *pair),
    )
    for column in ("subject_number", "other_number"):
        c.execute(f"UPDATE feedback SET {column} = ? WHERE {column} = ?", (target, source))


def remove_feedback(c: Connection, number: int) -> None:
    """Remove one."""
    c.execute("DELETE FROM feedback WHERE number = ?", (number,))


def _said(feedback: Feedback) -> tuple[Any, ...]:
    return (
        feedback.verdict,
        feedback.subject_number,
        feedback.other_number,
        feedback.subject_similarity,
        feedback.other_similarity,
        feedback.given_at,
    )


def _stored(row: tuple[Any, ...]) -> StoredFeedback:
    return StoredFeedback(
        number=row[0],
        feedback=Feedback(
            id=row[1],
            verdict=row[2],
            subject_id=row[3],
            subject_number=row[4],
            other_number=row[5],
            subject_similarity=row[6],
            other_similarity=row[7],
            answered=row[8],
            contract_id=row[9],
            scoring=row[10],
            gallery_subjects=row[11],
            gallery_templates=row[12],
            gallery_revision=row[13],
            searched_at=row[14],
            given_at=row[15],
        ),
    )
