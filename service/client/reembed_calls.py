"""The calls about another bundle for the same people."""

from service.client.call import Call, answer, nothing
from service.reembed_answer import ReembeddingOut
from service.schemas import JobAnswer

_PATH = "/v1/collections/{collection_id}/reembed"


def reembed(collection_id: str, *, bundle: str) -> Call[JobAnswer]:
    """Embed a collection anew by another served bundle, as a job: a name, or name@version.

    Send the same again after an end of the service: it goes on where it was.
    """
    return Call(
        method="POST",
        path=_PATH,
        ids={"collection_id": collection_id},
        json={"bundle": bundle},
        parse=answer(JobAnswer),
    )


def get_reembedding(collection_id: str) -> Call[ReembeddingOut]:
    """How far it is, what is missing, and whether there is a way back."""
    return Call(
        method="GET",
        path=_PATH,
        ids={"collection_id": collection_id},
        parse=answer(ReembeddingOut),
    )


def switch_bundle(collection_id: str, *, allow_missing: bool | None = None) -> Call[ReembeddingOut]:
    """Serve a collection by the bundle that it was embedded anew by."""
    return Call(
        method="POST",
        path=f"{_PATH}/switch",
        ids={"collection_id": collection_id},
        json={} if allow_missing is None else {"allow_missing": allow_missing},
        parse=answer(ReembeddingOut),
    )


def roll_back_bundle(
    collection_id: str, *, allow_missing: bool | None = None
) -> Call[ReembeddingOut]:
    """Serve a collection by the bundle before the last switch."""
    return Call(
        method="POST",
        path=f"{_PATH}/rollback",
        ids={"collection_id": collection_id},
        json={} if allow_missing is None else {"allow_missing": allow_missing},
        parse=answer(ReembeddingOut),
    )


def abandon_reembedding(collection_id: str) -> Call[None]:
    """Remove what was embedded anew; what is searched stays."""
    return Call(method="DELETE", path=_PATH, ids={"collection_id": collection_id}, parse=nothing)


def drop_former_embeddings(collection_id: str) -> Call[None]:
    """Remove what the last switch has left: there is no way back then."""
    return Call(
        method="DELETE",
        path=f"{_PATH}/former",
        ids={"collection_id": collection_id},
        parse=nothing,
    )
