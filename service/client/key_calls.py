"""The calls about API keys."""

from collections.abc import Sequence

from service.access.scopes import Scope
from service.client.call import Call, answer, nothing
from service.key_answer import CreatedKey, KeyList


def create_key(
    name: str,
    scopes: Sequence[Scope],
    *,
    collections: Sequence[str] | None = None,
    expires_at: str | None = None,
    key: str | None = None,
) -> Call[CreatedKey]:
    """Make an API key; the answer's `key` is told this once.

    collections: ids of the only ones that it is for; all unless given. expires_at: RFC 3339.
    key: one of your own that is hard to guess.
    """
    given = {"collections": collections, "expires_at": expires_at, "key": key}
    wanted = {"name": name, "scopes": list(scopes)}
    wanted |= {field: value for field, value in given.items() if value is not None}
    return Call(method="POST", path="/v1/keys", json=wanted, parse=answer(CreatedKey))


def list_keys() -> Call[KeyList]:
    """All keys without their secrets, oldest first."""
    return Call(method="GET", path="/v1/keys", parse=answer(KeyList))


def delete_key(key_id: str) -> Call[None]:
    """Let a key be good no more."""
    return Call(method="DELETE", path="/v1/keys/{key_id}", ids={"key_id": key_id}, parse=nothing)
