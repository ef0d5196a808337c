"""API keys, and who may not ask."""

from collections.abc import Sequence

from contract.errors.gallery import GalleryError
from contract.errors.root import OneGlanceError


class KeyNotFoundError(GalleryError):
    """No API key of that id."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"There is no key {key_id!r}: the list of keys has their ids.")
        self.key_id = key_id


class KeyExistsError(GalleryError):
    """An API key of that id is there already."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"The key {key_id!r} is there already: delete it to make it anew.")
        self.key_id = key_id


class TooManyKeysError(GalleryError):
    """No more API keys are kept."""

    def __init__(self, most: int) -> None:
        super().__init__(f"There are {most} keys already: delete those that nobody uses.")
        self.most = most


class LastAdminKeyError(GalleryError):
    """Nobody could manage the keys that are left; nothing was changed."""

    def __init__(self) -> None:
        super().__init__(
            "No key would be left that can manage keys: keep, or make first, one of the scope "
            "admin, for all collections and without an end."
        )


class AccessError(OneGlanceError):
    """Who asks may not; nothing was done."""


class KeyMissingError(AccessError):
    """A key is needed and none came."""

    def __init__(self) -> None:
        super().__init__(
            "This needs an API key: send it as Authorization: Bearer KEY, or as x-api-key: KEY."
        )


class UnknownKeyError(AccessError):
    """The key that came is none, or not any more; which of them is not told."""

    def __init__(self) -> None:
        super().__init__(
            "The API key is not known here: it is mistyped, was deleted or has expired. Ask for a "
            "new one who manages the keys."
        )


class ScopeMissingError(AccessError):
    """The key is not for such operations. needed: scopes of which it wants one."""

    def __init__(self, needed: Sequence[str]) -> None:
        super().__init__(
            f"The API key is not for this: it needs the scope {' or '.join(needed)}. Ask for such "
            "a key who manages the keys."
        )
        self.needed = tuple(needed)


class CollectionForbiddenError(AccessError):
    """The key is not for that collection, whether there is one or not. None: for all of them."""

    def __init__(self, collection_id: str | None) -> None:
        what = "all collections" if collection_id is None else f"the collection {collection_id!r}"
        super().__init__(
            f"The API key is not for {what}: name one of its own, which /v1/collections lists."
        )
        self.collection_id = collection_id


class RateLimitedError(OneGlanceError):
    """A key has asked too often; nothing was done. retry_after_s: until it may ask again."""

    def __init__(self, *, per_minute: int, retry_after_s: int) -> None:
        super().__init__(
            f"The API key may ask {per_minute} times a minute: ask again in {retry_after_s} s."
        )
        self.per_minute, self.retry_after_s = per_minute, retry_after_s


class NoKeysError(OneGlanceError):
    """The service would be open to others than this machine."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"There is no API key, and on {host} others than this machine could enrol and identify "
            "people. Make the first key by `oneglance keys create --gallery LOCATION --scope "
            "admin`, or set ONEGLANCE_ADMIN_KEY_FILE, or listen on 127.0.0.1. Where something in "
            "front of the service asks who is there, --allow-no-keys true lets it start without."
        )
        self.host = host
