"""A key to be made, as who manages the keys asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from service.access.scopes import Scope

NAME_MAX_CHARS: Final = 128
COLLECTIONS_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyWish:
    """collections: ids; None for all. expires_at: RFC 3339. key: one's own; made for None."""

    name: str
    scopes: frozenset[Scope]
    collections: Sequence[str] | None
    expires_at: str | None
    key: str | None
