"""The call about another secret for the same templates."""

from service.client.call import Call, answer
from service.schemas import JobAnswer


def rekey(
    collection_id: str, *, new_secret: bool | None = None, new_row_key: bool | None = None
) -> Call[JobAnswer]:
    """Turn a collection's templates by another rotation, as a job; answers stay what they are.

    new_secret, new_row_key: make one first. Send the same again, without them, after an end of the
    service: it goes on where it was.
    """
    given = {"new_secret": new_secret, "new_row_key": new_row_key}
    return Call(
        method="POST",
        path="/v1/collections/{collection_id}/rekey",
        ids={"collection_id": collection_id},
        json={name: value for name, value in given.items() if value is not None},
        parse=answer(JobAnswer),
    )
