"""What CompreFace's requests have in common: the key, the options, and where the images are."""

import base64
import binascii
import json
from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request, UploadFile
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile as StarletteUpload

from service.access.caller import present_caller
from service.access.gate import KEY_HEADER
from service.collections import ServedCollection
from service.compreface.errors import (
    INVALID,
    MISSING_HEADER,
    MISSING_KEY_MESSAGE,
    MISSING_PART,
    CompreFaceError,
)
from service.compreface.keys import collections_by_key
from service.compreface.sure_faces import sure_of
from service.recognizer import Recognizer
from service.routes.common import RuntimeDep, collection_of

JSON: Final = "application/json"


async def _served(request: Request, runtime: RuntimeDep) -> ServedCollection:
    """The collection that the request's key is for, if it is one; else that which the settings
    name for it; else the service's own."""
    key = request.headers.get(KEY_HEADER)
    if not key:
        raise CompreFaceError(MISSING_HEADER, MISSING_KEY_MESSAGE)
    own = present_caller().collections or ()
    if len(own) == 1:
        return await collection_of(runtime, next(iter(own)))
    named = collections_by_key(runtime.settings.compreface_collections)
    return await collection_of(runtime, named.get(key))


Served = Annotated[ServedCollection, Depends(_served)]


class Options(BaseModel):
    """Query parameters of whatever looks at photos. limit: faces, 0 for all."""

    limit: int = Field(0, ge=0)
    det_prob_threshold: float | None = Field(None, ge=0, le=1)
    face_plugins: str = ""
    status: bool = False
    detect_faces: bool = True

    @property
    def plugins(self) -> frozenset[str]:
        """Slugs of what more is asked of each face; those that we have not are not looked at."""
        return frozenset(part.strip() for part in self.face_plugins.split(","))

    def recognizer(self, served: ServedCollection) -> Recognizer:
        """What looks at the photos. Raises CompreFaceError: only faces that are found are known."""
        if not self.detect_faces:
            raise CompreFaceError(INVALID, "detect_faces=false: send photos, faces are looked for.")
        return sure_of(served.bundle.recognizer, self.det_prob_threshold)


class RecognizeOptions(Options):
    """prediction_count: subjects named for each face."""

    prediction_count: int = Field(1, ge=1, le=1000)


OptionsQuery = Annotated[Options, Query()]
RecognizeQuery = Annotated[RecognizeOptions, Query()]


async def images_of(request: Request, *names: str) -> list[bytes]:
    """The image files of these names: parts of a form, or texts in Base64 of a JSON object."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == JSON:
        body = await _json(request)
        return [_decoded(name, body.get(name)) for name in names]
    async with request.form() as form:
        parts = {name: form.get(name) for name in names}
        return [await _read(name, part) for name, part in parts.items()]


async def _json(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise CompreFaceError(INVALID, "The body is not JSON.") from error
    if not isinstance(body, dict):
        raise CompreFaceError(INVALID, "The body must be a JSON object.")
    return body


def _decoded(name: str, text: object) -> bytes:
    if not isinstance(text, str):
        raise CompreFaceError(MISSING_PART, f"Required part '{name}' is not present")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CompreFaceError(INVALID, f"{name} is not Base64.") from error


async def _read(name: str, part: UploadFile | StarletteUpload | str | None) -> bytes:
    if not isinstance(part, StarletteUpload):
        raise CompreFaceError(MISSING_PART, f"Required part '{name}' is not present")
    return await part.read()
