"""What a client raises for an answer that is no success."""

import http
from typing import Any

import httpx
from pydantic import ValidationError

from service.schemas import Problem


class ApiError(Exception):
    """The service refused, or something between it and here did.

    code: the machine word of the problem+json; of an answer that is none, its status in words, such
    as `bad_gateway`; of a success that this client cannot read `unknown_answer`. errors: what is
    wrong with each image or field. retry_after_s: when asking again makes sense, if the answer says
    so. Where no answer comes, httpx raises an error of its own.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: list[dict[str, Any]],
        request_id: str | None,
        retry_after_s: float | None,
    ) -> None:
        super().__init__(status, code, detail, errors, request_id, retry_after_s)
        self.status, self.code, self.detail, self.errors = status, code, detail, errors
        self.request_id, self.retry_after_s = request_id, retry_after_s

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.detail} (request {self.request_id})"


def error_of(answer: httpx.Response) -> ApiError:
    """From an answer that is no success, whoever gave it."""
    try:
        problem = Problem.model_validate_json(answer.content, extra="ignore")
    except ValidationError:
        return strange_answer(answer, _words(answer.status_code))
    return problem_error(problem, retry_after_s(answer))


def strange_answer(answer: httpx.Response, code: str) -> ApiError:
    """From an answer that is not what the service answers; its text is shown."""
    return ApiError(
        answer.status_code,
        code,
        answer.text[:200],
        [],
        answer.headers.get("x-request-id"),
        retry_after_s(answer),
    )


def problem_error(problem: Problem, retry_after_s: float | None = None) -> ApiError:
    """From a problem, as answers and failed jobs have it."""
    return ApiError(
        problem.status,
        problem.code,
        problem.detail,
        problem.errors,
        problem.request_id,
        retry_after_s,
    )


def retry_after_s(answer: httpx.Response) -> float | None:
    """Seconds of the header Retry-After; None without it, and for a date, which we never send."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None


def _words(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")
    except ValueError:
        return "unknown_status"
