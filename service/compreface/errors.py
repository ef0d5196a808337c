"""Errors as CompreFace answers them: `{"message": …, "code": …}`, with its numbers."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from contract import errors as e
from service.problems import RETRY_AFTER_S, BodyTooLargeError, headers_of, kind_of
from service.request_error import RequestError

UNDEFINED: Final = 0
UNKNOWN_COLLECTION: Final = 10
PREDICTION_COUNT: Final = 12
MISSING_HEADER: Final = 20
NOT_AN_IMAGE: Final = 21
INVALID: Final = 26
NO_FACE: Final = 28
SEVERAL_FACES: Final = 31
MISSING_PARAMETER: Final = 33
MISSING_PART: Final = 34
SERVICE: Final = 41
SUBJECT_NOT_FOUND: Final = 42
SUBJECT_EXISTS: Final = 43
IMAGE_NOT_FOUND: Final = 44

MISSING_KEY_MESSAGE: Final = "Missing header: x-api-key"
NO_FACE_MESSAGE: Final = "No face is found in the given image"
SEVERAL_FACES_MESSAGE: Final = "Found more than one face in the given image"

# Status and code; the nearest base that an error has here decides.
_TABLE: Final[dict[type[Exception], tuple[int, int]]] = {
    e.ImageTooLargeError: (413, INVALID),
    e.ImageError: (400, NOT_AN_IMAGE),
    e.SubjectNotFoundError: (404, SUBJECT_NOT_FOUND),
    e.TemplateNotFoundError: (404, IMAGE_NOT_FOUND),
    e.CollectionNotFoundError: (404, UNKNOWN_COLLECTION),
    # There a key is of one service: any other one names nothing.
    e.UnknownKeyError: (401, UNKNOWN_COLLECTION),
    e.ScopeMissingError: (403, UNKNOWN_COLLECTION),
    e.CollectionForbiddenError: (403, UNKNOWN_COLLECTION),
    e.SubjectConflictError: (400, SUBJECT_EXISTS),
    RequestError: (400, INVALID),
}


class CompreFaceError(Exception):
    """What CompreFace refuses in its own words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class NoFaceError(CompreFaceError):
    """A photo that shows nobody."""

    def __init__(self) -> None:
        super().__init__(NO_FACE, NO_FACE_MESSAGE)


class CompreFaceRoute(APIRoute):
    """A route whose errors have CompreFace's form; unforeseen ones are answered as everywhere."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler, inside of the translation."""
        handle = super().get_route_handler()

        async def translated(request: Request) -> Response:
            try:
                return await handle(request)
            except (
                CompreFaceError,
                e.OneGlanceError,
                RequestError,
                RequestValidationError,
                HTTPException,
            ) as error:
                return answer_to(error)

        return translated


def answer_to(error: Exception) -> JSONResponse:
    """The answer to an error that is known."""
    status, code, message = _told(error)
    headers = {"retry-after": str(RETRY_AFTER_S)} if status == 503 else headers_of(error)
    if isinstance(error, BodyTooLargeError):
        # The rest of the body will not be read, so the connection has no further use.
        headers["connection"] = "close"
    return JSONResponse({"message": message, "code": code}, status, headers=headers)


def _told(error: Exception) -> tuple[int, int, str]:
    """Status, code and message."""
    if isinstance(error, CompreFaceError):
        return 400, error.code, str(error)
    if isinstance(error, e.KeyMissingError):
        return 400, MISSING_HEADER, MISSING_KEY_MESSAGE
    if isinstance(error, e.NoUsableFaceError):
        return _unusable(error)
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        return error.status_code, UNDEFINED, str(error.detail)
    for base in type(error).__mro__:
        if base in _TABLE:
            return *_TABLE[base], str(error)
    status = kind_of(error).status
    return status, SERVICE if status >= 500 else UNDEFINED, str(error)


def _unusable(error: e.NoUsableFaceError) -> tuple[int, int, str]:
    reasons = {reason for _, found in error.items for reason in found}
    if "multiple_faces" in reasons:
        return 400, SEVERAL_FACES, SEVERAL_FACES_MESSAGE
    if "no_face" in reasons:
        return 400, NO_FACE, NO_FACE_MESSAGE
    return 400, INVALID, str(error)


def _invalid(error: RequestValidationError) -> tuple[int, int, str]:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "body"
    code = MISSING_PARAMETER if first["type"] == "missing" else INVALID
    if "prediction_count" in first["loc"]:
        code = PREDICTION_COUNT
    return 400, code, f"{where}: {first['msg']}"
