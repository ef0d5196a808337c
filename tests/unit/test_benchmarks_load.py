"""The load: what is sent, what is counted, and which bars hold of it."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import ClassVar

import numpy as np
import pytest

from benchmarks import callers, overload, shutdown, soak
from benchmarks.load.callers import Callers
from benchmarks.load.memory import slope
from benchmarks.load.prepared import identify_request
from benchmarks.load.record import NO_ANSWER, Asked, Load
from benchmarks.server import free_port
from benchmarks.shutdown_callers import Asked as AskedToEnd
from benchmarks.shutdown_callers import Sent
from tests.conftest import Api, face_photo


class Handler(http.server.BaseHTTPRequestHandler):
    """200 to most, 503 to each fifth, an end of the connection to each seventh."""

    protocol_version = "HTTP/1.1"
    asked = 0
    counting = threading.Lock()
    ports: ClassVar[set[int]] = set()

    def do_POST(self) -> None:
        with self.counting:
            type(self).asked += 1
            number = self.asked
            self.ports.add(self.client_address[1])
        self.rfile.read(int(self.headers["content-length"]))
        if number % 7 == 0:
            self.close_connection = True
            return
        self.send_response(503 if number % 5 == 0 else 200)
        if number % 5 == 0:
            self.send_header("Retry-After", "1")
            self.send_header("Connection", "close")
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(bytes(100_000))

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    """A server of Handler, asked nothing so far."""
    Handler.asked = 0
    Handler.ports.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield "127.0.0.1", server.server_port
        server.shutdown()
        thread.join()


def test_a_prepared_request_is_understood_by_the_service(api: Api) -> None:
    head, _, body = identify_request(face_photo(1)).partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    headers = dict(one.split(": ", 1) for one in lines)
    method, path, _ = line.split()
    answer = api.request(method, path, content=body, headers=headers)
    assert (answer.status_code, len(answer.json()["faces"])) == (200, 1)
    assert headers["Content-Length"] == str(len(body))


def test_callers_wait_for_their_answers_and_all_are_counted(address: tuple[str, int]) -> None:
    with closing(Callers(address, [identify_request(b"x")])) as asking:
        load = asking.waiting_ones(1, seconds=1)
    assert load.statuses.total() == Handler.asked > 10
    # One caller, so in the order of being asked.
    wanted = [
        NO_ANSWER if n % 7 == 0 else 503 if n % 5 == 0 else 200 for n in range(1, Handler.asked + 1)
    ]
    assert [one.status for one in load.asked] == wanted
    assert {one.retry_after for one in load.asked if one.status == 503} == {True}
    # The last one may have come after the time was up.
    assert load.rate * load.seconds == pytest.approx(len(load.good), abs=1)


def test_the_rate_is_of_what_came_in_its_time() -> None:
    in_time, late, refused = Asked(200, 1.5, 400), Asked(200, 1.9, 200), Asked(503, 0.0, 1)
    assert Load(asked=[in_time, in_time, late, refused], seconds=2.0).rate == 1.0


def test_a_stream_sends_when_it_is_due_whatever_becomes_of_it(address: tuple[str, int]) -> None:
    with closing(Callers(address, [identify_request(b"x")])) as asking:
        load = asking.stream(200, seconds=0.5)
    due = sorted(one.due_s for one in load.asked)
    assert due == pytest.approx([n / 200 for n in range(len(due))])
    assert len(due) == Handler.asked == 100
    assert all(one.ms > 0 for one in load.asked)


@pytest.mark.parametrize(("idle_s", "connections"), [(60.0, 1), (0.0, 4)])
def test_a_connection_that_was_idle_for_long_is_not_used_again(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch, idle_s: float, connections: int
) -> None:
    monkeypatch.setattr("benchmarks.load.callers.IDLE_S", idle_s)
    with closing(Callers(address, [identify_request(b"x")])) as asking:
        for _ in range(4):
            assert asking.stream(10, seconds=0.01).statuses.total() == 1
    assert len(Handler.ports) == connections


def test_who_nobody_listens_to_has_no_answer() -> None:
    with closing(Callers(("127.0.0.1", free_port()), [b"x"])) as asking:
        load = asking.stream(50, seconds=0.1)
    assert set(load.statuses) == {NO_ANSWER}
    assert np.isnan(load.percentile_ms(99))


def test_the_slope_is_that_of_a_line_and_no_peak_moves_it() -> None:
    seconds = [float(s) for s in range(2_000)]
    line = [200 + 0.25 * s for s in seconds]
    line[700:800] = [900.0] * 100
    assert slope(seconds, line) == pytest.approx(0.25, rel=0.05)
    assert slope(seconds, [5.0] * 2_000) == 0


def loaded(ms: float, *others: Asked, count: int = 100) -> Load:
    """So many good answers in so many ms each, and others."""
    return Load(asked=[*(Asked(200, 0.0, ms) for _ in range(count)), *others], seconds=10)


def overloaded(stream: Load, growth_mb: float = 0.0) -> list[str]:
    """Bars that do not hold, where one caller waits 50 ms."""
    return overload.missed(
        overload.Outcome(
            before=loaded(50),
            after=loaded(50),
            capacity=loaded(60),
            stream=stream,
            growth_mb=growth_mb,
            core_share=0.1,
        )
    )


def test_each_bar_of_overload_can_be_missed() -> None:
    assert overloaded(loaded(99, Asked(503, 0, 1, True), Asked(429, 0, 1, True)), 9.9) == []
    assert "p99 of 100 ms, unloaded 50" in overloaded(loaded(100))[0]
    assert "{500: 1}" in overloaded(loaded(99, Asked(500, 0, 1)))[0]
    assert "{0: 1}" in overloaded(loaded(99, Asked(NO_ANSWER, 0, 1)))[0]
    assert "1 refusals without" in overloaded(loaded(99, Asked(503, 0, 1)))[0]
    assert "grew by 10.1 MB" in overloaded(loaded(99), 10.1)[0]
    assert "p99" in overloaded(Load(asked=[Asked(503, 0, 1, True)], seconds=1))[0]


def test_each_bar_of_the_soak_can_be_missed(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.judged(loaded(50), 10)
    assert not soak.judged(loaded(50), 10.1)
    refusals = [Asked(503, 59.0, 1, True), Asked(503, 61.0, 1, True), Asked(503, 61.0, 1, True)]
    assert soak.judged(loaded(50, *refusals[:2]), 0)
    assert not soak.judged(loaded(50, *refusals), 0)
    for status in (429, 500, NO_ANSWER):
        assert not soak.judged(loaded(50, Asked(status, 0, 1)), 0)
    lines = capsys.readouterr().out.splitlines()
    assert "refused by minute: {0: 1, 1: 2}" in lines
    assert lines[-1].startswith("100 photos in 0 minutes at 70%")


def test_each_bar_of_the_callers_can_be_missed(capsys: pytest.CaptureFixture[str]) -> None:
    def judged(many: Load) -> bool:
        return callers.judged([callers.Round(loaded(50), many, 0.01)] * 3)

    assert judged(loaded(400, count=160))
    assert not judged(loaded(400, count=159))
    assert not judged(loaded(400, *[Asked(200, 0, 2_001)] * 5, count=160))
    assert not judged(loaded(400, Asked(503, 0, 1, True), count=160))
    assert "1.60 times the photos of one" in capsys.readouterr().out.splitlines()[1]


def test_each_bar_of_the_shutdown_can_be_missed() -> None:
    line = "INFO POST /v1/identify {} in 3.1 ms, request 0\n"
    two = 2 * line.format(200)
    early = Sent("new", kept=False, whole_s=0.1, ended_s=0.2, status=200)
    late = Sent("kept", kept=True, whole_s=1.1, ended_s=1.2, status=200)

    def wrong(log: str, *sent: Sent, ready: int = 503) -> str:
        asked = AskedToEnd(sent=list(sent))
        found = shutdown.judged_round(asked, log, signal_s=1.0, ended_s=0.5, ready=ready)
        return "; ".join(shutdown.missed(found))

    assert wrong(two, early, late) == ""
    assert "3 answers by the log, 2 asked for" in wrong(two + line.format(200), early, late)
    assert "1 answers by the log, 2 asked for" in wrong(line.format(200), early, late)
    assert "/readyz said 200" in wrong(two, early, late, ready=200)
    assert "Traceback" in wrong(two + "Traceback", early, late)
    assert "nothing was under way" in wrong(line.format(200), early)
    reset = Sent("kept", kept=True, whole_s=1.1, ended_s=1.2, error="reset")
    assert "kept, kept connection: sent, ended +0.200 s" in wrong(two, early, late, reset)
    cut = Sent("pausing", kept=False, ended_s=1.2, error="reset")
    assert "pausing, new connection: cut off while it was sent" in wrong(two, early, late, cut)
    refused = Sent("new", kept=False, whole_s=1.1, ended_s=1.2, status=503)
    assert ": 503" in wrong(two + line.format(503), early, late, refused)
