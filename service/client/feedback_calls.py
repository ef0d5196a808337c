"""The calls about feedback on answers."""

from index.tables.feedback import FeedbackVerdict
from service.client.call import Call, answer, fields, nothing
from service.feedback_answer import FeedbackList, FeedbackOut


def give_feedback(
    receipt: str, verdict: FeedbackVerdict, *, subject_id: str | None = None
) -> Call[FeedbackOut]:
    """Confirm or reject what was answered of a face, by its receipt; the last word counts.

    subject_id: who it is, where that is not the best candidate.
    """
    said = {"receipt": receipt, "verdict": verdict}
    if subject_id is not None:
        said["subject_id"] = subject_id
    return Call(method="POST", path="/v1/feedback", json=said, parse=answer(FeedbackOut))


def list_feedback(
    *, limit: int | None = None, cursor: str | None = None, collection: str | None = None
) -> Call[FeedbackList]:
    """One page of what was said of a collection's answers, newest first."""
    return Call(
        method="GET",
        path="/v1/feedback",
        params=fields(limit=limit, cursor=cursor, collection=collection),
        parse=answer(FeedbackList),
    )


def delete_feedback(feedback_id: str, *, collection: str | None = None) -> Call[None]:
    """Take back what was said of an answer."""
    return Call(
        method="DELETE",
        path="/v1/feedback/{feedback_id}",
        ids={"feedback_id": feedback_id},
        params=fields(collection=collection),
        parse=nothing,
    )
