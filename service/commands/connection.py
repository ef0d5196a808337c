"""What the commands share that talk to a running service: where it is, errors in words, answers."""

import argparse
import json
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from contract.errors import OneGlanceError
from service.commands.gallery.common import say

if TYPE_CHECKING:
    from service.client import ApiError, Client

DEFAULT_URL: Final = "http://127.0.0.1:8000"
# A service with a long queue, or a slow machine, still answers within this.
TIMEOUT_S: Final = 600.0

Run = Callable[[argparse.Namespace, "Client"], int]


class ServiceError(OneGlanceError):
    """The service refused, or does not answer; in words that say what to do."""


def add_command(
    commands: Any, name: str, run: Run, *, help: str, collection: bool = True
) -> argparse.ArgumentParser:
    """Declare a command that a running service does, on one collection of its gallery or on all."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help)
    add_service(parser)
    if collection:
        parser.add_argument(
            "--collection", metavar="NAME", help="collection (default: the service's own)"
        )
    parser.set_defaults(run=lambda args: _run(run, args))
    return parser


def add_service(parser: argparse.ArgumentParser) -> None:
    """The options that every such command has."""
    parser.add_argument(
        "--url", help=f"of the service (default: ONEGLANCE_URL, else {DEFAULT_URL})"
    )
    parser.add_argument("--api-key", metavar="KEY", help="default: ONEGLANCE_API_KEY")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def url_of(args: argparse.Namespace) -> str:
    """Where the service is."""
    return str(args.url or os.environ.get("ONEGLANCE_URL") or DEFAULT_URL)


def connect(args: argparse.Namespace, *, timeout_s: float = TIMEOUT_S) -> "Client":
    """A client of the service. Raises ServiceError for a URL that is none."""
    import httpx

    from service.client import Client

    key = args.api_key or os.environ.get("ONEGLANCE_API_KEY") or None
    try:
        return Client(url_of(args), api_key=key, timeout_s=timeout_s)
    except httpx.InvalidURL as error:
        raise ServiceError(f"{url_of(args)} is no URL: {error}.") from error


def answer_json(answer: BaseModel | Mapping[str, Any]) -> None:
    """Say an answer as one line of JSON."""
    if isinstance(answer, BaseModel):
        say(answer.model_dump_json())
    else:
        say(json.dumps(dict(answer), ensure_ascii=False))


def in_words(error: "ApiError") -> str:
    """What the service says, and what to do about it where it does not say so itself."""
    what = " ".join(error.detail.split()) or "it says no more"
    hint = ""
    if error.status in (401, 403):
        hint = "; give the service's key by --api-key or ONEGLANCE_API_KEY"
    elif error.retry_after_s is not None:
        hint = "; try again in a moment"
    request = f", request {error.request_id}" if error.request_id else ""
    return f"{what}{hint} ({error.status} {error.code}{request})"


def _run(run: Run, args: argparse.Namespace) -> int:
    import httpx

    from service.client import ApiError

    try:
        with connect(args) as client:
            return run(args, client)
    except ApiError as error:
        raise ServiceError(in_words(error)) from error
    except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
        raise ServiceError(
            f"No service answers at {url_of(args)} ({error}): start one by `oneglance serve`, or "
            "name another by --url."
        ) from error
    except httpx.TransportError as error:
        why = str(error) or type(error).__name__
        raise ServiceError(
            f"The service at {url_of(args)} gave no answer ({why}): look at its log, then give the "
            "same command again."
        ) from error
