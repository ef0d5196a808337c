"""Ids of what outlives its request, and tells by itself which collection it is of.

So whether a key may have it needs no list that a restart would lose or a replica would lack: the
end of such an id is a digest of the rest of it and of the collection. The id names no collection.
"""

import hashlib
from typing import Final

_TAG_DIGITS: Final = 12


def owned_id(digits: str, collection_id: str) -> str:
    """An id as long as `digits`, hexadecimal; what they end with gives way to the digest."""
    head = digits[:-_TAG_DIGITS]
    return head + _tag(head, collection_id)


def is_of(owned: str, collection_id: str) -> bool:
    """Whether an id was made for that collection."""
    head = owned[:-_TAG_DIGITS]
    return owned == head + _tag(head, collection_id)


def _tag(head: str, collection_id: str) -> str:
    return hashlib.sha256(f"{head}/{collection_id}".encode()).hexdigest()[:_TAG_DIGITS]
