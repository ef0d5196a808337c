"""The JSON of feedback."""

from pydantic import Field

from index.tables.feedback import Answered, Feedback, FeedbackVerdict
from service.schemas import Model, Similarity


class FeedbackOut(Model):
    """What was said of a face. The next calibration may count it; nothing else changes by it."""

    id: str
    collection: str
    verdict: FeedbackVerdict
    answered: Answered = Field(description="the decision that the verdict is on")
    subject_id: str = Field(description="whom the verdict is about")
    similarity: Similarity | None = Field(
        description="to that subject; null where it was not among the two best candidates"
    )
    other_similarity: Similarity | None = Field(
        description="to the best of those whom the face does not show, which a calibration counts; "
        "null where there was nobody else"
    )
    gallery_revision: int = Field(description="of the collection when the face was searched for")
    searched_at: str = Field(description="RFC 3339")
    given_at: str = Field(description="RFC 3339, of what was said last")

    @classmethod
    def of(cls, feedback: Feedback, collection_id: str) -> "FeedbackOut":
        """From the gallery's record."""
        return cls(
            id=feedback.id,
            collection=collection_id,
            verdict=feedback.verdict,
            answered=feedback.answered,
            subject_id=feedback.subject_id,
            similarity=feedback.subject_similarity,
            other_similarity=feedback.other_similarity,
            gallery_revision=feedback.gallery_revision,
            searched_at=feedback.searched_at,
            given_at=feedback.given_at,
        )


class FeedbackList(Model):
    """One page of feedback, newest first."""

    feedback: list[FeedbackOut]
    next_cursor: str | None = Field(description="pass as cursor for the next page; null at the end")
