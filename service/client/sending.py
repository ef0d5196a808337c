"""What both clients do alike around sending: requests from calls, results from answers."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar, get_args, get_type_hints

import httpx
from pydantic import ValidationError

from service.client.call import Call
from service.client.error import error_of, problem_error, retry_after_s, strange_answer
from service.client.uploads import Uploads
from service.schemas import JobOut

T = TypeVar("T")

TIMEOUT_S: Final = 60.0
RETRIES: Final = 2
# Who is to come again later than this hears it as ApiError.retry_after_s.
WAIT_MAX_S: Final = 30.0
RETRIED: Final = (429, 503)


def headers_of(api_key: str | None) -> dict[str, str]:
    """What every request says."""
    return {} if api_key is None else {"Authorization": f"Bearer {api_key}"}


def request_of(
    http: httpx.Client | httpx.AsyncClient, call: Call[Any], uploads: Uploads
) -> httpx.Request:
    """One request of the call. Its files are sent from their beginning."""
    return http.build_request(
        call.method,
        call.url,
        params=call.params,
        json=call.json,
        data=call.data,
        files=uploads.parts,
        headers=call.headers,
    )


def wait_s(answer: httpx.Response) -> float | None:
    """Seconds until the same request is to be sent again; None for never."""
    after_s = retry_after_s(answer) if answer.status_code in RETRIED else None
    return after_s if after_s is not None and after_s <= WAIT_MAX_S else None


def result_of(call: Call[T], answer: httpx.Response) -> T:
    """What a call comes to. Raises ApiError."""
    if not answer.is_success:
        raise error_of(answer)
    try:
        return call.parse(answer.content)
    except ValidationError as error:
        raise strange_answer(answer, "unknown_answer") from error


def ended(job: JobOut) -> bool:
    """Whether the job is over. Raises ApiError for one that failed."""
    if job.error is not None:
        raise problem_error(job.error)
    return job.status == "succeeded"


def as_method(build: Callable[..., Call[Any]]) -> Callable[[T], T]:
    """Decorates a method that sends what `build` builds: people see its words and parameters."""

    def decorate(method: T) -> T:
        shown: Any = functools.wraps(build)(method)  # type: ignore[arg-type]
        mine = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
        signature = inspect.signature(build)
        (answer,) = get_args(get_type_hints(build)["return"])
        shown.__signature__ = signature.replace(
            parameters=[mine, *signature.parameters.values()], return_annotation=answer
        )
        return shown  # type: ignore[no-any-return]

    return decorate
