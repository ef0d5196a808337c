"""Where a request is let in: its key before its body is read, its operation before that is done."""

from typing import Final

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from contract.errors import AccessError, OneGlanceError, RateLimitedError
from service.access.caller import Caller, calling
from service.access.keyring import Keyring
from service.access.rate_limit import RateLimit
from service.access.scopes import OPEN, OPERATIONS
from service.refusal import COMPREFACE, refusal

KEY_HEADER: Final = "x-api-key"
# Whatever else is asked for without a key is refused, be it there or not.
OPEN_PATHS: Final = frozenset(
    {"/", "/healthz", "/readyz", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"}
)
# Files of the page, none of which is about anybody.
OPEN_FOLDER: Final = "/page/"
_SCOPE_KEY: Final = "oneglance.access"
_BEARER: Final = b"bearer "


class Gate:
    """Tells by its key who asks, and refuses whom it does not know, before a byte of the body is
    taken. Inside of RequestId and RequestMetrics, outside of all else."""

    def __init__(self, app: ASGIApp, *, keyring: Keyring, rate_limit: RateLimit) -> None:
        self._app, self._keyring, self._rate_limit = app, keyring, rate_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            caller = self._keyring.caller_of(key_of(scope))
            if caller.key_id:
                self._rate_limit.count(caller.key_id)
        except (AccessError, RateLimitedError) as error:
            scope[_SCOPE_KEY] = error
            answer: ASGIApp = self._app if is_open(scope["path"]) else refusal(scope, error)
            await answer(scope, receive, send)
            return
        scope[_SCOPE_KEY] = caller
        with calling(caller):
            await self._app(scope, receive, send)


async def allow(request: Request) -> None:
    """A dependency of every operation. Raises AccessError: it is not for whoever asks, or not for
    the collection that the path names."""
    operation = operation_of(request.scope)
    if OPERATIONS[operation] == OPEN:
        return
    known = request.scope[_SCOPE_KEY]
    if isinstance(known, OneGlanceError):
        raise known
    known.check_operation(operation)
    collection_id = request.path_params.get("collection_id")
    if collection_id is not None:
        known.check_collection(collection_id)


def is_open(path: str) -> bool:
    """Whether what is there, if anything, needs no key."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


def caller_if_known(request: Request) -> Caller | None:
    """Who asks for what anybody may, or None where no good key came."""
    known = request.scope[_SCOPE_KEY]
    return known if isinstance(known, Caller) else None


def operation_of(scope: Scope) -> str:
    """What scopes.OPERATIONS calls the operation that a request was taken to."""
    route = scope["route"]
    return f"compreface.{route.name}" if route.path.startswith(COMPREFACE) else str(route.name)


def key_of(scope: Scope) -> str | None:
    """The key that came, as Authorization: Bearer KEY or else as x-api-key: KEY."""
    other = None
    for name, value in scope["headers"]:
        if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
            return str(value[len(_BEARER) :].strip().decode("latin-1")) or None
        if name == KEY_HEADER.encode():
            other = str(value.decode("latin-1"))
    return other or None
