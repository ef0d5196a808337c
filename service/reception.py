"""Where a request gets its turn: refused before its body is read, dropped when nobody waits."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.errors import OverloadedError
from service.refusal import refusal
from service.turn import Turn, taking
from service.workers import Workers

_GONE: Final[Message] = {"type": "http.disconnect"}


class Reception:
    """Inside of Gate, outside of all that reads a body."""

    def __init__(self, app: ASGIApp, *, workers: Workers) -> None:
        self._app, self._workers = app, workers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _has_body(scope):
            # What has a body is work for the workers, and reading it would be in vain.
            try:
                self._workers.check_place()
            except OverloadedError as error:
                await refusal(scope, error)(scope, receive, send)
                return
        turn = Turn()
        line = _Line(receive, turn)
        try:
            with taking(turn):
                await self._app(scope, line.receive, send)
        finally:
            line.close()


class _Line:
    """The connection of one request: read by the application until the body is whole, and from
    then on listened to for its end."""

    def __init__(self, receive: Receive, turn: Turn) -> None:
        self._receive, self._turn = receive, turn
        self._listening: asyncio.Task[None] | None = None

    async def receive(self) -> Message:
        """The next message for the application."""
        if self._listening is not None:
            await asyncio.shield(self._listening)
            return _GONE
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._listening = asyncio.create_task(self._listen())
        return message

    def close(self) -> None:
        """The request has its answer."""
        if self._listening is not None:
            self._listening.cancel()

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._turn.leave()


def _has_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
