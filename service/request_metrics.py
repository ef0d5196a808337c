"""Counts and logs each request: what was asked by the route's pattern, never by an id in a path."""

import logging
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.metrics import Metrics
from service.request_id import request_id_of

log = logging.getLogger(__name__)


class RequestMetrics:
    """Inside of RequestId, outside of all else, so that a refused body counts, too."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        # What is said of one that ends without an answer: whoever asked has gone away, or the
        # service has failed, and then the layer outside answers.
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            seconds = time.perf_counter() - start
            path = pattern_of(scope)
            method = scope["method"]
            self._metrics.answered(method=method, path=path, status=status, seconds=seconds)
            log.info(
                "%s %s %d in %.1f ms, request %s",
                method,
                path or "(no such path)",
                status,
                seconds * 1_000,
                request_id_of(scope),
                extra=facts(scope, path, status, seconds),
            )


def pattern_of(scope: Scope) -> str:
    """The path of the route that was taken, with the names of its ids; empty where none was."""
    return str(getattr(scope.get("route"), "path", ""))


def facts(scope: Scope, path: str, status: int, seconds: float) -> dict[str, Any]:
    """Of a request, for a log of JSON."""
    return {
        "request_id": request_id_of(scope),
        "method": scope["method"],
        "path": path,
        "status": status,
        "duration_ms": round(seconds * 1_000, 1),
    }
