"""A service that has keys, for tests of what they let in."""

from collections.abc import Sequence
from typing import Any

from service.access.key_wish import KeyWish
from service.access.keyring import Keyring
from service.access.scopes import Scope
from tests.conftest import Api

# Of 256 random bits, once.
ADMIN_KEY = "b6f0c2a79d1e4835a0c7f9421d8e6b3350f9ae7714cc28db63aa05e9d7f14b82"
UUID_KEY = "9c5d0b0e-7a1f-4c1c-8d7a-3a51f1c0e2b4"


def bearer(key: str) -> dict[str, str]:
    """The header of a request with that key."""
    return {"Authorization": f"Bearer {key}"}


def made(
    where: Api | Keyring,
    *scopes: Scope,
    collections: Sequence[str] | None = None,
    expires_at: str | None = None,
    key: str | None = None,
) -> str:
    """A new key of the service."""
    keyring: Keyring = where.runtime.keyring if isinstance(where, Api) else where
    wish = KeyWish(
        name="of a test",
        scopes=frozenset(scopes),
        collections=collections,
        expires_at=expires_at,
        key=key,
    )
    return keyring.create(wish)[1]


def create(api: Api, asking: str, **wanted: Any) -> dict[str, Any]:
    """What POST /v1/keys answers to who has the key `asking`."""
    answer = api.post("/v1/keys", json={"name": "n", **wanted}, headers=bearer(asking))
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body
