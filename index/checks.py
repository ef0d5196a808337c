"""What the gallery takes from its callers; all refusals are ValueError and say what to change.

Shapes: M rows, D embedding size.
"""

import json
import re
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from index.clock import check_time
from index.records import JSON, Embeddings

# Safe in a URL path, a file name and a log line; never "." or "..".
SUBJECT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+~-]{0,127}")
NAME_MAX_CHARS = 256
EXTERNAL_ID_MAX_CHARS = 128
CONSENT_REF_MAX_CHARS = 128
CROP_MAX_BYTES = 1_048_576
# Search indexes hold embeddings in half precision; every bounded space of ours is far inside.
NUMBER_MAX = 65_504.0
METADATA_MAX_BYTES = 65_536


def check_embeddings(embeddings_MD: Any, *, size: int, what: str) -> Embeddings:
    """A float32 C-ordered copy, (M, D): what the caller does to its own later is no matter."""
    array = np.asarray(embeddings_MD)
    if array.dtype.kind != "f" or array.ndim != 2 or array.shape[1] != size:
        raise ValueError(
            f"{what} must be floating point numbers of shape (M, {size}), "
            f"not {array.dtype} of shape {array.shape}."
        )
    with np.errstate(over="ignore"):
        array = np.array(array, dtype=np.float32, order="C")
    if not np.isfinite(array).all():
        raise ValueError(f"{what} must be finite: there is a NaN, an infinity or an overflow.")
    if np.abs(array).max(initial=0.0) > NUMBER_MAX:
        raise ValueError(f"{what} must hold numbers from -{NUMBER_MAX:g} to {NUMBER_MAX:g}.")
    return array


def check_crops(crops: Sequence[bytes | None] | None, *, count: int) -> list[bytes | None]:
    """One picture file or None for each of `count` templates, up to 1 MiB each."""
    if crops is None:
        return [None] * count
    if len(crops) != count:
        raise ValueError(f"There must be a crop, or None, for each of {count} templates.")
    if any(crop is not None and not 0 < len(crop) <= CROP_MAX_BYTES for crop in crops):
        raise ValueError(f"A crop must be a picture file of 1 to {CROP_MAX_BYTES} bytes.")
    return list(crops)


def check_template_ids(template_ids: Sequence[str] | None, *, count: int) -> tuple[str, ...]:
    """Ids for `count` templates, all different, each as a subject's could be; new ones for None."""
    if template_ids is None:
        return tuple(uuid.uuid4().hex for _ in range(count))
    if len(template_ids) != count or len(set(template_ids)) != count:
        raise ValueError(f"There must be an id of its own for each of {count} templates.")
    return tuple(check_subject_id(template_id, what="template id") for template_id in template_ids)


def check_subject_id(subject_id: str, *, what: str = "subject id") -> str:
    """1 to 128 ASCII letters, digits and . _ : @ + ~ -, the first one a letter or digit."""
    if not SUBJECT_ID.fullmatch(subject_id):
        raise ValueError(
            f"The {what} {_shown(subject_id)} cannot be used: take 1 to 128 ASCII letters, "
            "digits and . _ : @ + ~ - and begin with a letter or digit."
        )
    return subject_id


def check_place(text: str | None, *, what: str, name: str) -> int | None:
    """The place in a listing that `name` of the page before says; None for the first page."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ValueError(f"{what} must be the {name} of the page before.")
    return int(text)


def check_text(text: str | None, *, what: str, max_chars: int) -> str | None:
    """Plain text of 1 to `max_chars` characters without control characters, or None."""
    if text is None:
        return None
    # Cs: half a surrogate pair, which UTF-8 cannot carry. Cf stays: names need joiners.
    bad = any(unicodedata.category(c) in ("Cc", "Cs") for c in text)
    if bad or not 1 <= len(text) <= max_chars:
        raise ValueError(
            f"The {what} {_shown(text)} cannot be used: take 1 to {max_chars} characters, "
            "no control characters among them."
        )
    return text


def cannot_be_stored(text: str) -> bool:
    """No row can have such a text, and a database may not even take it to compare with.

    That is so for a zero byte in PostgreSQL, and for half a surrogate pair in both.
    """
    return any(c == "\0" or unicodedata.category(c) == "Cs" for c in text)


def metadata_text(metadata: Mapping[str, JSON]) -> str:
    """Canonical JSON text of a metadata object, at most 64 KiB: equal objects, equal text."""
    try:
        plain = dict(metadata)
        text = json.dumps(
            plain, allow_nan=False, ensure_ascii=False, separators=(",", ":"), sort_keys=True
        )
        if json.loads(text) != plain:
            raise ValueError("it changes on its way through JSON")
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"The metadata must be a JSON object with string keys and finite numbers ({error})."
        ) from error
    if size > METADATA_MAX_BYTES:
        raise ValueError(
            f"The metadata takes {size} bytes as JSON, at most {METADATA_MAX_BYTES} are kept."
        )
    return text


def check_facts(**facts: Any) -> dict[str, Any]:
    """Facts about a subject, each as it is stored. Raises ValueError."""
    limits = {
        "name": NAME_MAX_CHARS,
        "external_id": EXTERNAL_ID_MAX_CHARS,
        "consent_ref": CONSENT_REF_MAX_CHARS,
    }
    checked: dict[str, Any] = {}
    for field, value in facts.items():
        if field in limits:
            words = field.replace("_", " ")
            checked[field] = check_text(value, what=words, max_chars=limits[field])
        elif field == "expires_at":
            checked[field] = check_time(value, what=field)
        elif field == "metadata":
            checked[field] = json.loads(metadata_text(value or {}))
        else:
            raise ValueError(f"A subject has no {field!r} that could be changed.")
    return checked


def _shown(text: str) -> str:
    shown = ascii(text[:40])
    return shown if len(text) <= 40 else f"{shown}… ({len(text)} characters)"
