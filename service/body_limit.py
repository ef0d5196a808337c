"""Refuses a body past its limit before it is stored anywhere."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import BodyTooLargeError, known_problem


class BodyLimit:
    """Counts the bytes of a body as they come; the announced length is only a first check."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._max_body_bytes:
            answer = known_problem(scope, BodyTooLargeError(self._max_body_bytes))
            await answer(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max_body_bytes:
                raise BodyTooLargeError(self._max_body_bytes)
            return message

        await self._app(scope, counted, send)
