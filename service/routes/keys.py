"""/v1/keys."""

from functools import partial

from fastapi import APIRouter, Response

from service.key_answer import CreatedKey, KeyList, KeyOut, NewKey
from service.request_error import RequestError
from service.routes.common import RuntimeDep, problems

router = APIRouter(prefix="/v1/keys", tags=["keys"])


@router.post(
    "",
    status_code=201,
    response_model=CreatedKey,
    responses=problems(400, 409, 413, 422, 503, 507),
)
async def create_key(wanted: NewKey, runtime: RuntimeDep, response: Response) -> CreatedKey:
    """Make an API key. `key` of the answer is told this once.

    The first key must be of the scope admin, for all collections and without an end: from its
    answer on every request needs a key.
    """
    try:
        stored, key = await runtime.workers.run(partial(runtime.keyring.create, wanted.wish()))
    except ValueError as error:
        # Which of the fields it is says the message.
        raise RequestError("body", str(error)) from error
    response.headers["Cache-Control"] = "no-store"
    return CreatedKey.made(stored, key)


@router.get("", response_model=KeyList, responses=problems(503))
async def list_keys(runtime: RuntimeDep) -> KeyList:
    """All keys without their secrets, oldest first; those that have expired, too."""
    found = await runtime.workers.run(runtime.keyring.all)
    return KeyList(keys=[KeyOut.of(key) for key in found])


@router.delete(
    "/{key_id}",
    status_code=204,
    response_class=Response,
    responses=problems(404, 409, 422, 503, 507),
)
async def delete_key(key_id: str, runtime: RuntimeDep) -> None:
    """Let a key be good no more: here before the answer, at other replicas within seconds.

    409 `last_admin_key` where no key would be left that can manage the others.
    """
    await runtime.workers.run(partial(runtime.keyring.delete, key_id))
