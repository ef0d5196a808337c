"""Metadata of a subject, as far as the service asks more of it than the gallery does."""

from collections.abc import Mapping
from typing import Any, Final

from service.request_error import RequestError

# Deeper JSON can be stored, but the framework could not write it into an answer again.
METADATA_MAX_DEPTH: Final = 32


def check_depth(metadata: Mapping[str, Any]) -> None:
    """Raises RequestError for more than METADATA_MAX_DEPTH objects and lists in one another."""
    if not _nests_at_most(metadata, METADATA_MAX_DEPTH):
        raise RequestError("metadata", f"metadata nests more than {METADATA_MAX_DEPTH} levels.")


def _nests_at_most(value: Any, levels: int) -> bool:
    if not isinstance(value, (dict, list)):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_nests_at_most(item, levels - 1) for item in inner)
