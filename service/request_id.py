"""A request id in every answer and log line."""

import uuid
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER: Final = "x-request-id"
_KEY: Final = "oneglance.request_id"


def request_id_of(scope: Scope) -> str:
    """The id that RequestId gave to this request."""
    return str(scope[_KEY])


class RequestId:
    """Gives each request a fresh id, and sends it back as a header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope[_KEY] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (HEADER.encode(), request_id.encode()),
                ]
            await send(message)

        await self._app(scope, receive, send_with_id)
