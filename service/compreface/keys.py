"""CompreFace's API keys: each names one of its services, which is a collection here."""

from collections.abc import Mapping
from functools import lru_cache

from index.checks import check_subject_id


@lru_cache(maxsize=8)
def collections_by_key(setting: str) -> Mapping[str, str]:
    """Collection of each key, of a setting as `key=collection, key=collection`.

    Raises ValueError, which does not repeat the keys.
    """
    found: dict[str, str] = {}
    parts = [part.strip() for part in setting.split(",")]
    for place, part in enumerate((part for part in parts if part), start=1):
        # A key may have = in it, a collection's id may not.
        key, sign, collection = (piece.strip() for piece in part.rpartition("="))
        if not (key and sign):
            raise ValueError(f"Part {place} is not key=collection.")
        if key in found:
            raise ValueError(f"Part {place} has the key of a part before it.")
        found[key] = check_subject_id(collection, what="collection id")
    return found


def check_keys(setting: str) -> str:
    """The same text. Raises ValueError as collections_by_key does."""
    collections_by_key(setting)
    return setting
