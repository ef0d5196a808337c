"""Errors to answers: the ONE table from domain error to status, all as RFC 9457 problem+json."""

import http
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import Scope

from contract import errors as e
from service.allowed_methods import allowed_methods
from service.crops import OtherCropError
from service.ending import EndingError
from service.request_error import RequestError, UnsupportedMediaTypeError
from service.request_id import HEADER, request_id_of
from service.schemas import Problem

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kind:
    """How one sort of error is answered."""

    status: int
    code: str
    title: str


class BodyTooLargeError(HTTPException):
    """The body of the request is too large.

    It comes up while the framework reads the body, which lets only its own errors through.
    """

    def __init__(self, max_body_bytes: int) -> None:
        detail = f"The request has more than {max_body_bytes} bytes: send fewer or smaller images."
        super().__init__(TABLE[BodyTooLargeError].status, detail)


# The first base that an error has here decides, so a subclass comes through its nearest one.
TABLE: Final[dict[type[Exception], Kind]] = {
    e.EmptyFileError: Kind(422, "empty_file", "The file is empty"),
    e.DamagedImageError: Kind(422, "damaged_image", "The image is damaged"),
    e.NotAnImageError: Kind(415, "not_an_image", "Not a JPEG, PNG or WebP image"),
    e.ImageTooLargeError: Kind(413, "image_too_large", "The image is too large"),
    e.NoUsableFaceError: Kind(422, "no_usable_face", "No usable face"),
    e.PossibleDuplicateError: Kind(409, "possible_duplicate", "Perhaps enrolled already"),
    e.SubjectNotFoundError: Kind(404, "subject_not_found", "No such subject"),
    e.TemplateNotFoundError: Kind(404, "template_not_found", "No such template"),
    e.TemplateExistsError: Kind(409, "template_exists", "The template is there already"),
    e.CropNotFoundError: Kind(404, "crop_not_found", "No picture is stored"),
    e.ErasureNotFoundError: Kind(404, "erasure_not_found", "Nobody of that id was removed"),
    e.FeedbackNotFoundError: Kind(404, "feedback_not_found", "No such feedback"),
    e.FeedbackOutdatedError: Kind(409, "feedback_outdated", "On a search by another bundle"),
    e.CollectionNotFoundError: Kind(404, "collection_not_found", "No such collection"),
    e.CollectionExistsError: Kind(409, "collection_exists", "The collection is there already"),
    e.CollectionInUseError: Kind(409, "collection_in_use", "The service was started for it"),
    e.BundleNotFoundError: Kind(404, "bundle_not_found", "No such bundle"),
    e.SubjectConflictError: Kind(409, "subject_conflict", "The subject says something else"),
    e.IdempotencyConflictError: Kind(409, "idempotency_conflict", "The key is another request's"),
    e.RequestUnderWayError: Kind(409, "request_under_way", "The first request is not answered yet"),
    e.SwitchedMeanwhileError: Kind(503, "bundle_switched", "Switched to another bundle meanwhile"),
    e.ReembeddingEndedError: Kind(409, "reembedding_ended", "The re-embedding is over"),
    e.ReembeddingConflictError: Kind(
        409, "reembedding_conflict", "The re-embedding is not in that state"
    ),
    e.MissingTemplatesError: Kind(409, "templates_missing", "Templates would not be found"),
    e.NoCropsError: Kind(422, "no_crops", "No pictures are stored"),
    OtherCropError: Kind(422, "other_crops", "Pictures for another kind of model"),
    e.ContractMismatchError: Kind(409, "bundle_mismatch", "Embeddings of another bundle"),
    e.KeyNotFoundError: Kind(404, "key_not_found", "No such key"),
    e.KeyExistsError: Kind(409, "key_exists", "The key is there already"),
    e.TooManyKeysError: Kind(409, "too_many_keys", "No more keys are kept"),
    e.LastAdminKeyError: Kind(409, "last_admin_key", "Nobody could manage keys"),
    e.KeyMissingError: Kind(401, "key_missing", "An API key is needed"),
    e.UnknownKeyError: Kind(401, "key_unknown", "Not a key, or not any more"),
    e.ScopeMissingError: Kind(403, "scope_missing", "The key is not for this"),
    e.CollectionForbiddenError: Kind(403, "collection_forbidden", "Another key's collection"),
    e.RateLimitedError: Kind(429, "rate_limited", "Asked too often"),
    e.GalleryTooLargeError: Kind(422, "gallery_too_large", "Too large for a health report"),
    e.GallerySecretError: Kind(503, "secret_missing", "The gallery's secret is not there"),
    e.GalleryFullError: Kind(507, "storage_full", "No room left on the storage"),
    e.GalleryUnavailableError: Kind(503, "gallery_unavailable", "The gallery is not available"),
    e.TooLittleDataError: Kind(422, "too_little_data", "Too little to calibrate on"),
    e.ImportNotFoundError: Kind(404, "import_not_found", "No such import"),
    e.ExportNotFoundError: Kind(404, "export_not_found", "No such export"),
    e.JobNotFoundError: Kind(404, "job_not_found", "No such job"),
    e.JobCancelledError: Kind(503, "job_cancelled", "The job was stopped"),
    e.CallerGoneError: Kind(499, "caller_gone", "Whoever asked has gone away"),
    e.DeadlineExceededError: Kind(503, "deadline_exceeded", "Its turn did not come in time"),
    e.OverloadedError: Kind(503, "overloaded", "The service is busy"),
    EndingError: Kind(503, "shutting_down", "The service is shutting down"),
    UnsupportedMediaTypeError: Kind(415, "unsupported_media_type", "Unsupported media type"),
    RequestError: Kind(422, "invalid_request", "The request cannot be understood"),
    RequestValidationError: Kind(422, "invalid_request", "The request cannot be understood"),
    BodyTooLargeError: Kind(413, "body_too_large", "The request is too large"),
}
MALFORMED: Final = Kind(400, "bad_request", "Bad Request")
INTERNAL: Final = Kind(500, "internal_error", "Something went wrong on our side")
RETRY_AFTER_S: Final = 1


def install(app: FastAPI) -> None:
    """Answer every error of `app` as a problem."""
    for error in TABLE:
        app.add_exception_handler(error, _answer_known)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_unknown)


def kind_of(error: Exception) -> Kind:
    """How `error` is answered: by its nearest class in the table."""
    return next((TABLE[base] for base in type(error).__mro__ if base in TABLE), INTERNAL)


def known_problem(scope: Scope, error: Exception) -> JSONResponse:
    """The answer to `error`, which is one of the table's."""
    answer = _problem(scope, kind_of(error), _detail(error), _items(error))
    if isinstance(error, BodyTooLargeError):
        # The rest of the body will not be read, so the connection has no further use.
        answer.headers["connection"] = "close"
    answer.headers.update(headers_of(error))
    if isinstance(error, UnsupportedMediaTypeError):
        answer.headers["accept"] = ", ".join(error.taken)
    return answer


def headers_of(error: Exception) -> dict[str, str]:
    """What an answer says of the key that it refuses."""
    if isinstance(error, e.KeyMissingError | e.UnknownKeyError):
        return {"www-authenticate": "Bearer"}
    if isinstance(error, e.RateLimitedError):
        return {"retry-after": str(error.retry_after_s)}
    return {}


def problem_of(error: Exception, *, instance: str, request_id: str) -> Problem:
    """The problem of what ended a job; what is not ours to show stays in the log."""
    kind = kind_of(error)
    detail = f"The service has logged what happened to {instance}."
    if kind is not INTERNAL:
        detail = _detail(error)
    return _body(kind, detail, _items(error), instance=instance, request_id=request_id)


def malformed_problem(detail: str, *, request_id: str) -> Problem:
    """The answer to bytes that are no HTTP request, so that they ask for no path."""
    return _body(MALFORMED, detail, [], instance="/", request_id=request_id)


def _body(
    kind: Kind, detail: str, errors: list[dict[str, Any]], *, instance: str, request_id: str
) -> Problem:
    return Problem(
        type=f"/problems/{kind.code.replace('_', '-')}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=instance,
        code=kind.code,
        request_id=request_id,
        errors=errors,
    )


def _problem(scope: Scope, kind: Kind, detail: str, errors: list[dict[str, Any]]) -> JSONResponse:
    body = _body(kind, detail, errors, instance=scope["path"], request_id=request_id_of(scope))
    headers = {"Retry-After": str(RETRY_AFTER_S)} if kind.status in (429, 503) else None
    return JSONResponse(
        body.model_dump(),
        kind.status,
        headers=headers,
        media_type="application/problem+json",
    )


async def _answer_known(request: Request, error: Exception) -> JSONResponse:
    return known_problem(request.scope, error)


async def _answer_http(request: Request, error: Exception) -> JSONResponse:
    """Errors of the framework itself: no such route, method not allowed, malformed multipart."""
    assert isinstance(error, HTTPException)
    phrase = http.HTTPStatus(error.status_code).phrase
    kind = Kind(error.status_code, phrase.lower().replace(" ", "_"), phrase)
    answer = _problem(request.scope, kind, str(error.detail), [])
    answer.headers.update(error.headers or {})
    if error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["allow"] = ", ".join(allowed_methods(request.app, request.scope))
    return answer


async def _answer_unknown(request: Request, error: Exception) -> JSONResponse:
    log.error("request %s failed", request_id_of(request.scope), exc_info=error)
    detail = "The service has logged what happened under this request_id."
    answer = _problem(request.scope, INTERNAL, detail, [])
    # Starlette answers this one outside of all middleware, RequestId included.
    answer.headers[HEADER] = request_id_of(request.scope)
    return answer


def _detail(error: Exception) -> str:
    if isinstance(error, RequestValidationError):
        return "; ".join(f"{item['field']}: {item['message']}" for item in _items(error))
    return str(error.detail) if isinstance(error, HTTPException) else str(error)


def _items(error: Exception) -> list[dict[str, Any]]:
    if isinstance(error, e.NoUsableFaceError):
        return [
            {"index" if isinstance(where, int) else "field": where, "reasons": list(reasons)}
            for where, reasons in error.items
        ]
    if isinstance(error, e.ImageError) and error.field is not None:
        return [{"field": error.field, "reasons": [error.reason]}]
    if isinstance(error, e.ScopeMissingError):
        return [{"scope": scope} for scope in error.needed]
    if isinstance(error, e.PossibleDuplicateError):
        return [{"subject_id": who, "similarity": value} for who, value in error.duplicates]
    if isinstance(error, e.MissingTemplatesError):
        return [{"missing_count": error.templates, "missing_subject_count": len(error.subjects)}]
    if isinstance(error, RequestError):
        return [{"field": error.field, "message": str(error)}]
    if isinstance(error, RequestValidationError):
        return [{"field": _field(item), "message": _message(item)} for item in error.errors()]
    return []


def _field(item: Mapping[str, Any]) -> str:
    # Of text that is no JSON the framework names the character where it ends to be some.
    inside = () if item["type"] == "json_invalid" else item["loc"][1:]
    return ".".join(map(str, inside)) or "body"


def _message(item: Mapping[str, Any]) -> str:
    if item["type"] == "json_invalid":
        return f"not JSON: {item['ctx']['error']}, at character {item['loc'][-1]}"
    return str(item["msg"])
