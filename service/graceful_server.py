"""uvicorn, ending so that whoever got a request through to it has an answer."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Final

import uvicorn

from service import logs
from service.http_protocol import HttpProtocol
from service.no_new_connections import refuse_new_connections
from service.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

# A handshake that was begun comes to its end, and what the kernel has finished is accepted.
ACCEPT_S: Final = 0.2
POLL_S: Final = 0.05

log = logging.getLogger(__name__)


class GracefulServer(uvicorn.Server):
    """As uvicorn's, but for its end.

    uvicorn closes its port and every idle connection at once. What the kernel holds of them then,
    connections that wait to be accepted and requests that wait to be read, it resets. Here no
    connection is begun any more, those that there are get time to be accepted and read, and each
    answer from then on closes its connection, so that a caller knows where to ask no more.
    """

    def __init__(self, config: uvicorn.Config, *, grace_s: float, told: Callable[[], None]) -> None:
        """grace_s: in which an idle connection may still ask. told: called at a signal."""
        super().__init__(config)
        self._grace_s, self._told = grace_s, told

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: the service is not ready from this moment, before anything is closed."""
        self._told()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, in the order above; a second Ctrl+C ends at once."""
        self._close_with_answers()
        if not refuse_new_connections(one for server in self.servers for one in server.sockets):
            log.info("connections that come while the port is closed may be reset")
        # Passes of the event loop, each of which looks for what came, and not a time: however
        # late they are, what had been sent by then is read before anything is closed.
        await self._wait(ACCEPT_S, lambda: True)
        for server in self.servers:
            server.close()
        await self._wait(self._grace_s, lambda: bool(self.server_state.connections))
        await super().shutdown(sockets)

    def _close_with_answers(self) -> None:
        state = self.server_state
        state.default_headers = [*state.default_headers, (b"connection", b"close")]
        for connection in state.connections:
            # One whose answer has begun said already that it stays: it is told by its next answer.
            cycle = getattr(connection, "cycle", None)
            if cycle is not None and not cycle.response_started:
                cycle.keep_alive = False

    async def _wait(self, seconds: float, needed: Callable[[], bool]) -> None:
        for _ in range(max(1, round(seconds / POLL_S))):
            if not needed() or self.force_exit:
                return
            await asyncio.sleep(POLL_S)


def serve(app: "FastAPI", settings: Settings, *, told: Callable[[], None]) -> int:
    """Answer until a signal says to end. 1 if it did not start, else 0."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=HttpProtocol,
        log_config=logs.for_uvicorn(),
    )
    server = GracefulServer(config, grace_s=settings.shutdown_grace_s, told=told)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    return 0 if server.started else 1
