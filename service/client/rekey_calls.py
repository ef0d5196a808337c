"""The call about another secret for the same templates."""

from service.client.call import Call, answer
from service.schemas import JobAnswer


def rekey(collection_id: str, *, new_secret: bool | None = None) -> Call[JobAnswer]:
    """Turn a collection's templates by another rotation, as a job; answers stay what they are.

    new_secret: make a new secret first. Send the same again, without it, after an end of the
    service: it goes on where it was.
    """
    return Call(
        method="POST",
        path="/v1/collections/{collection_id}/rekey",
        ids={"collection_id": collection_id},
        json={} if new_secret is None else {"new_secret": new_secret},
        parse=answer(JobAnswer),
    )
