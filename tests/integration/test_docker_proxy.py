"""The proxy that is shipped, real, before two stand-ins for replicas that fail on demand."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.caddy import proxying
from service.schemas import Problem

PHOTO = bytes(range(256)) * 1_000


class Replica(ThreadingHTTPServer):
    """Answers each request with its own name and the number of bytes that came."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, name: str, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.name = name
        # Breaks the connection off when a whole request has come, instead of an answer.
        self.breaks = False
        self.seen: list[str] = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def kill(self) -> None:
        """Nobody listens here any more."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke off is what these tests are about."""


class Handler(BaseHTTPRequestHandler):
    """Of one request; each has a connection of its own."""

    server: Replica

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path != "/readyz":
            self.server.seen.append(f"{self.command} {self.path}")
            if self.server.breaks:
                self.close_connection = True
                return
        answer = f"{self.server.name} {len(body)}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_DELETE = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Said by the proxy."""


@pytest.fixture
def replicas() -> Iterator[list[Replica]]:
    made = [Replica("one"), Replica("two")]
    yield made
    for replica in made:
        replica.kill()


@pytest.fixture
def client(replicas: list[Replica], tmp_path: Path) -> Iterator[httpx.Client]:
    """Of the proxy before the replicas."""
    with (
        proxying([replica.server_port for replica in replicas], tmp_path) as url,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        yield client


def answers(client: httpx.Client, count: int, method: str, path: str, **sent: Any) -> Counter[str]:
    """Who answered how often, with how many bytes; anything but 200 by its status."""
    found: Counter[str] = Counter()
    for _ in range(count):
        answer = client.request(method, path, **sent)
        found[answer.text if answer.status_code == 200 else str(answer.status_code)] += 1
    return found


def test_both_replicas_work_and_metrics_are_not_for_everybody(client: httpx.Client) -> None:
    found = answers(client, 20, "POST", "/v1/identify", content=PHOTO)
    assert set(found) == {f"one {len(PHOTO)}", f"two {len(PHOTO)}"}
    assert client.get("/metrics").status_code == 404


@pytest.mark.parametrize("path", ["/v1/identify", "/v1/enroll"])
def test_nobody_notices_that_a_replica_is_gone(
    client: httpx.Client, replicas: list[Replica], path: str
) -> None:
    replicas[0].kill()
    assert answers(client, 20, "POST", path, content=PHOTO) == {f"two {len(PHOTO)}": 20}


@pytest.mark.parametrize(
    "path",
    ["/v1/identify", "/identify", "/v1/identify/batch", "/v1/verify", "/v1/detect", "/v1/embed"],
)
def test_what_changes_nothing_is_sent_again_whole(
    client: httpx.Client, replicas: list[Replica], path: str
) -> None:
    replicas[0].breaks = True
    # Among replicas that are as busy the proxy draws, so that one may be passed over for long.
    assert answers(client, 40, "POST", path, content=PHOTO) == {f"two {len(PHOTO)}": 40}
    assert replicas[0].seen  # It was asked, and broke off.


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/enroll"), ("POST", "/enroll"), ("DELETE", "/v1/subjects/ada")],
)
def test_what_may_be_done_already_is_never_sent_again(
    client: httpx.Client, replicas: list[Replica], method: str, path: str
) -> None:
    for replica in replicas:
        replica.breaks = True
    answer = client.request(method, path, content=PHOTO)
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 502
    assert set(problem) == set(Problem.model_fields) - {"errors"}
    assert sum(len(replica.seen) for replica in replicas) == 1


def test_that_no_replica_is_left_is_said_with_when_to_come_again(
    client: httpx.Client, replicas: list[Replica]
) -> None:
    for replica in replicas:
        replica.kill()
    # Who finds it out is told what became of the last one.
    assert client.post("/v1/identify", content=PHOTO).status_code in (502, 503)
    answer = client.post("/v1/identify", content=PHOTO)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["code"] == "replica_unavailable"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/jobs/1", {}),
        ("/v1/imports", {}),
        ("/v1/collections/default/calibrations", {}),
        ("/v1/enroll", {"Idempotency-Key": "a-key"}),
    ],
)
def test_what_one_replica_remembers_comes_back_to_it(
    client: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    assert len(answers(client, 12, "POST", path, headers=headers)) == 1


def test_keys_are_spread_over_the_replicas(client: httpx.Client) -> None:
    sent = [{"Idempotency-Key": f"key-{number}"} for number in range(40)]
    found = [client.post("/v1/enroll", headers=headers).text for headers in sent]
    assert set(found) == {"one 0", "two 0"}


def test_a_replica_that_comes_back_is_taken_again(
    client: httpx.Client, replicas: list[Replica]
) -> None:
    port = replicas[0].server_port
    replicas[0].kill()
    assert answers(client, 5, "GET", "/v1/subjects") == {"two 0": 5}
    replicas[0] = Replica("one", port)
    deadline = time.monotonic() + 40
    while not client.get("/v1/subjects").text.startswith("one"):
        assert time.monotonic() < deadline, "It was never asked again."
        time.sleep(0.1)
