"""The service inside this process: real HTTP messages, no socket."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from starlette.types import ASGIApp

from service.app import create_app
from service.runtime import build_runtime
from service.settings import Settings

T = TypeVar("T")


class AsgiClient:
    """Plain calls of an ASGI application. An exception inside it is an answer, as over a socket.

    `http` is the asynchronous client, for several requests at a time in `run`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._loop = asyncio.Runner()
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://oneglance")

    def request(self, method: str, path: str, **what: Any) -> httpx.Response:
        """Send one request; `what` is httpx's."""
        return self.run(self.http.request(method, path, **what))

    def get(self, path: str, **what: Any) -> httpx.Response:
        return self.request("GET", path, **what)

    def post(self, path: str, **what: Any) -> httpx.Response:
        return self.request("POST", path, **what)

    def patch(self, path: str, **what: Any) -> httpx.Response:
        return self.request("PATCH", path, **what)

    def delete(self, path: str, **what: Any) -> httpx.Response:
        return self.request("DELETE", path, **what)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Result of a coroutine on this client's loop."""
        return self._loop.run(coroutine)

    def close(self) -> None:
        self.run(self.http.aclose())
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsgiTransport(httpx.BaseTransport):
    """Takes the requests of a plain httpx client to the application of an AsgiClient."""

    def __init__(self, service: AsgiClient) -> None:
        self._service = service

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._service.request(
            request.method, str(request.url), headers=request.headers, content=request.read()
        )
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


@contextmanager
def local_service(settings: Settings) -> Iterator[AsgiClient]:
    """The service of `settings`, as `oneglance serve` builds it. Raises OneGlanceError."""
    runtime = build_runtime(settings)
    try:
        with AsgiClient(create_app(runtime)) as client:
            yield client
    finally:
        runtime.close()
