"""Feedback on an answer: from its receipt and a verdict to what is kept."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from contract.errors import CollectionNotFoundError, FeedbackOutdatedError
from index.clock import text_of
from index.feedback import Told, give_feedback
from index.gallery import Gallery
from index.tables.feedback import Feedback, FeedbackVerdict
from service.receipt import MAX_CHARS, Receipt, contract_digest, decoded
from service.request_error import RequestError


class FeedbackWish(BaseModel):
    """What somebody says of a face. Other keys are refused."""

    model_config = ConfigDict(extra="forbid")

    receipt: str = Field(max_length=MAX_CHARS, description="of the face, as its answer had it")
    verdict: FeedbackVerdict = Field(
        description="confirmed: the face is that subject; rejected: it is not the best candidate"
    )
    subject_id: str | None = Field(
        None, description="who it is, with confirmed; the best candidate unless given"
    )


def receipt_of(wish: FeedbackWish) -> Receipt:
    """The receipt that a wish is about. Raises RequestError: it is none, or the wish is none."""
    if wish.verdict == "rejected" and wish.subject_id is not None:
        raise RequestError(
            "subject_id",
            "rejected says that the face is not the best candidate, whoever it is: send verdict "
            "confirmed to say that it is this subject, or leave subject_id out.",
        )
    try:
        return decoded(wish.receipt)
    except ValueError as error:
        raise RequestError("receipt", str(error)) from error


def keep_feedback(
    gallery: Gallery, receipt: Receipt, wish: FeedbackWish, *, most: int
) -> tuple[Feedback, bool]:
    """Keep what is said of a face, and tell whether it is said for the first time.

    most: how many a collection keeps. Raises CollectionNotFoundError (another one has the id by
    now), FeedbackOutdatedError or SubjectNotFoundError.
    """
    searched = receipt.gallery
    if searched.collection_number != gallery.number:
        raise CollectionNotFoundError(searched.collection_id)
    contract_id = gallery.contract.id
    if searched.contract != contract_digest(contract_id):
        raise FeedbackOutdatedError(searched.collection_id)
    (best_id, _), *rest = receipt.best
    subject_id = best_id if wish.subject_id is None else wish.subject_id
    # Of those whom the face does not show: a rejected best candidate is one of them.
    is_best = wish.verdict == "confirmed" and subject_id == best_id
    others = rest if is_best else receipt.best
    told = Told(
        id=receipt.id,
        verdict=wish.verdict,
        subject_id=subject_id,
        subject_similarity=dict(receipt.best).get(subject_id),
        other_id=others[0][0] if others else None,
        other_similarity=others[0][1] if others else None,
        answered=receipt.answered,
        contract_id=contract_id,
        scoring=searched.scoring,
        gallery_subjects=searched.subjects,
        gallery_templates=searched.templates,
        gallery_revision=searched.revision,
        searched_at=text_of(datetime.fromtimestamp(receipt.at, UTC)),
    )
    return give_feedback(gallery, told, most=most)
