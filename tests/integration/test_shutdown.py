"""SIGTERM under load: what was taken is answered, what comes then is refused."""

import re
import signal
import socket
import time
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
import pytest

from benchmarks.load.connection import Answer, Connection
from benchmarks.load.prepared import identify_request
from benchmarks.load.scene import address_of
from benchmarks.pictures import encoded
from benchmarks.server import Server, serving
from tests.conftest import BundleMaker

TAKEN = 4
WAIT_S = 120.0


def loads(server: Server) -> int:
    """How many requests are worked on or wait for that."""
    text = httpx.get(f"{server.url}/metrics", timeout=WAIT_S, trust_env=False).text
    found = re.findall(r"^oneglance_workers_(?:running|waiting) (\S+)$", text, re.MULTILINE)
    assert len(found) == 2
    return int(sum(map(float, found)))


def whole(connection: Connection) -> Answer:
    while (answer := connection.read()) is None:
        pass
    return answer


def refuses(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=WAIT_S).close()
    except ConnectionRefusedError:
        return True
    return False


def test_what_was_taken_is_answered_and_nothing_more_is_taken(
    no_settings: pytest.MonkeyPatch, tmp_path: Path, make_bundle: BundleMaker
) -> None:
    no_settings.setenv("ONEGLANCE_BUNDLE_PATH", str(make_bundle(fit="pad")))
    no_settings.setenv("ONEGLANCE_WORKER_THREADS", "1")
    # Larger than what sockets buffer: a request that has been sent is one that is being read. It
    # keeps the only worker for so long that the others wait.
    noise = np.random.default_rng(0).integers(0, 256, (2_500, 2_500, 3), dtype=np.uint8)
    request = identify_request(encoded(noise))
    with serving(tmp_path / "gallery.sqlite3", tmp_path / "log") as server:
        address = address_of(server.url)
        connections = [Connection(address) for _ in range(TAKEN)]
        for connection in connections:
            connection.send(request)
        deadline = time.monotonic() + WAIT_S
        while loads(server) < 2:
            assert time.monotonic() < deadline
        server.process.send_signal(signal.SIGTERM)
        while not refuses(address):
            assert time.monotonic() < deadline
        answers = []
        for connection in connections:
            with closing(connection):
                answers.append(whole(connection))
        assert server.process.wait(WAIT_S) in (0, -signal.SIGTERM)
    assert [answer.status for answer in answers] == [200] * TAKEN
    assert not any(answer.keeps for answer in answers[1:])
    words = (tmp_path / "log").read_text(encoding="utf-8")
    assert "Application shutdown complete" in words
    assert "Traceback" not in words
