"""Refuses a body past its limit before it is stored anywhere."""

from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import BodyTooLargeError, known_problem


class BodyLimit:
    """Counts the bytes of a body as they come; the announced length is only a first check."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, limits: Mapping[str, int]) -> None:
        """limits: of paths that have their own, in bytes."""
        self._app = app
        self._max_body_bytes, self._limits = max_body_bytes, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limits.get(scope["path"], self._max_body_bytes)
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > limit:
            answer = known_problem(scope, BodyTooLargeError(limit))
            await answer(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise BodyTooLargeError(limit)
            return message

        await self._app(scope, counted, send)
