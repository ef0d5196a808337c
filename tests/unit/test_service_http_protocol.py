"""What is no HTTP is answered as everything else is: a problem with a request id."""

import asyncio
import http.client
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from benchmarks.problem_check import Answer, faults_of
from service.http_protocol import HttpProtocol


async def nobody(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("The application was asked.")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a server whose application must not be reached."""
    config = uvicorn.Config(nobody, http=HttpProtocol, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True
        )
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(30)


@pytest.mark.parametrize(
    "sent",
    [
        b"BREW /v1/identify HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\ncontent-length: many\r\n\r\n",
        b"hello\r\n\r\n",
    ],
    ids=["method", "TLS", "length", "text"],
)
def test_bytes_that_are_no_http(port: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(sent)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        body = answer.read()
        headers = {name.lower(): answer.headers.get_all(name, []) for name in answer.headers}
        found = Answer(method="GET", status=answer.status, headers=headers, body=body)
        assert faults_of(found) == []
        assert answer.status == 400
        assert connection.recv(1) == b""
