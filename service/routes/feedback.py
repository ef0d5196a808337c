"""/v1/feedback."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response

from index.feedback import feedback_page, remove_feedback
from service.feedback import FeedbackWish, keep_feedback, receipt_of
from service.feedback_answer import FeedbackList, FeedbackOut
from service.request_error import RequestError
from service.routes.common import CollectionQuery, RuntimeDep, collection_of, problems

router = APIRouter(prefix="/v1/feedback", tags=["feedback"])


@router.post(
    "",
    response_model=FeedbackOut,
    status_code=201,
    responses={
        200: {"description": "Said again of the same answer, or changed", "model": FeedbackOut},
        **problems(400, 404, 409, 413, 422, 503, 507),
    },
)
async def give_feedback(wish: FeedbackWish, runtime: RuntimeDep, response: Response) -> FeedbackOut:
    """Confirm or reject what was answered of a face, by the face's `receipt`.

    The last word on a receipt counts. Nothing changes by it until the collection is calibrated
    again: then it counts as a search for a stranger. 409 when the collection has another bundle
    by now.
    """
    receipt = receipt_of(wish)
    served = await collection_of(runtime, receipt.gallery.collection_id)
    feedback, is_new = await runtime.workers.run(
        partial(
            keep_feedback,
            served.gallery,
            receipt,
            wish,
            most=runtime.settings.max_feedback_per_collection,
        )
    )
    if not is_new:
        response.status_code = 200
    return FeedbackOut.of(feedback, served.id)


@router.get("", response_model=FeedbackList, responses=problems(404, 409, 422, 503))
async def list_feedback(
    runtime: RuntimeDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
    collection: CollectionQuery = None,
) -> FeedbackList:
    """What was said of a collection's answers, newest first, a page at a time."""
    served = await collection_of(runtime, collection)
    try:
        page = await runtime.workers.run(
            partial(feedback_page, served.gallery, limit=limit, before=cursor)
        )
    except ValueError as error:
        raise RequestError(
            "cursor", "cursor must be the next_cursor of the page before."
        ) from error
    return FeedbackList(
        feedback=[FeedbackOut.of(feedback, served.id) for feedback in page.feedback],
        next_cursor=page.next_before,
    )


@router.delete(
    "/{feedback_id}",
    status_code=204,
    response_class=Response,
    responses=problems(404, 409, 422, 503, 507),
)
async def delete_feedback(
    feedback_id: str, runtime: RuntimeDep, collection: CollectionQuery = None
) -> None:
    """Take back what was said of an answer, as after a mistaken click."""
    served = await collection_of(runtime, collection)
    await runtime.workers.run(partial(remove_feedback, served.gallery, feedback_id))
