"""An image file inside JSON: a text in Base64, as it is or as a data: URL."""

import base64
import binascii
import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

# data:image/jpeg;base64,… as browsers make it; what it says of its kind is not looked at.
_DATA_URL: Final = re.compile("data:[^,]{0,200};base64,", re.IGNORECASE)
_WHAT: Final = "a JPEG, PNG or WebP file in Base64 (RFC 4648), or a data: URL of it"


def _decoded(text: Any) -> bytes:
    """The file's bytes. Raises PydanticCustomError, in words for who sent it."""
    if not isinstance(text, str):
        raise PydanticCustomError("base64", "not a text: send " + _WHAT)
    head = _DATA_URL.match(text)
    # Tools break lines; nothing else may stand between the letters.
    letters = "".join((text[head.end() :] if head else text).split())
    try:
        return base64.b64decode(letters, validate=True)
    # ValueError: letters beyond ASCII.
    except (binascii.Error, ValueError) as error:
        raise PydanticCustomError(
            "base64",
            "not Base64 ({why}): send " + _WHAT + "; no other URL is fetched",
            {"why": str(error)},
        ) from error


Base64Image = Annotated[
    bytes,
    BeforeValidator(_decoded),
    WithJsonSchema({"type": "string", "contentEncoding": "base64", "description": _WHAT}),
]
