"""The JSON of API keys."""

from pydantic import Field

from index.tables.api_keys import StoredKey
from service.access.key_text import CHARS_MAX
from service.access.key_wish import COLLECTIONS_MAX, NAME_MAX_CHARS, KeyWish
from service.access.scopes import Scope
from service.schemas import Model


class NewKey(Model):
    """What a new key is to be for."""

    name: str = Field(
        min_length=1, max_length=NAME_MAX_CHARS, description="for people to know it by"
    )
    scopes: list[Scope] = Field(min_length=1, description="what it may do; admin is everything")
    collections: list[str] | None = Field(
        None,
        min_length=1,
        max_length=COLLECTIONS_MAX,
        description="ids of the only ones that it is for, also of one to be made; all unless given",
    )
    expires_at: str | None = Field(None, description="RFC 3339; from then on it is refused")
    key: str | None = Field(
        None,
        max_length=CHARS_MAX,
        description="one of your own, such as CompreFace's, hard to guess; made unless given",
    )

    def wish(self) -> KeyWish:
        """The same for the keyring."""
        return KeyWish(
            name=self.name,
            scopes=frozenset(self.scopes),
            collections=self.collections,
            expires_at=self.expires_at,
            key=self.key,
        )


class KeyOut(Model):
    """A key without its secret."""

    id: str = Field(description="no secret: the key has it in its middle")
    name: str
    scopes: list[str]
    collections: list[str] | None = Field(description="null for all")
    created_at: str
    expires_at: str | None = Field(description="null for never")

    @classmethod
    def of(cls, key: StoredKey) -> "KeyOut":
        """A stored key as JSON."""
        return cls(
            id=key.id,
            name=key.name,
            scopes=list(key.scopes),
            collections=None if key.collections is None else list(key.collections),
            created_at=key.created_at,
            expires_at=key.expires_at,
        )


class CreatedKey(KeyOut):
    """A key that was made, with its secret."""

    key: str = Field(description="told this once: it is stored nowhere")

    @classmethod
    def made(cls, stored: StoredKey, key: str) -> "CreatedKey":
        """A new key as JSON."""
        return cls(key=key, **dict(KeyOut.of(stored)))


class KeyList(Model):
    """All keys, oldest first."""

    keys: list[KeyOut]
