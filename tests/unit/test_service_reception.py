"""The reception: a full service reads no body, and nobody works for who has gone away."""

import asyncio
import threading
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from service.reception import Reception
from service.turn import present_turn
from service.workers import Workers
from tests.conftest import ApiMaker, BlockDetector, Face, check_problem, face_photo

WAIT_S = 30.0
POST = {"type": "http", "path": "/v1/identify", "headers": [(b"content-length", b"3")]}


class Client:
    """One connection: its messages in order, then silence until it is closed."""

    def __init__(self, *messages: Message) -> None:
        self._messages = list(messages)
        self.closed = asyncio.Event()
        self.asked = 0

    async def receive(self) -> Message:
        self.asked += 1
        if self._messages:
            return self._messages.pop(0)
        await self.closed.wait()
        return {"type": "http.disconnect"}


def body(piece: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": piece, "more_body": more}


def workers_of_one() -> Workers:
    return Workers(threads=1, queue=0, queue_in_overload=0, deadline_s=WAIT_S)


async def ignored(_: Message) -> None:
    """What is sent."""


def test_a_full_service_refuses_before_it_reads_a_byte_of_the_body(make_api: ApiMaker) -> None:
    api = make_api(worker_threads=1, max_queued_requests=0)
    api.detector.gate.clear()

    async def story() -> list[Any]:
        photo = {"image": ("photo.png", face_photo(Face(1)))}
        first = asyncio.create_task(api.http.post("/v1/identify", files=photo))
        assert await asyncio.to_thread(api.detector.entered.wait, WAIT_S)

        async def unread() -> Any:
            raise AssertionError("The body was read.")
            yield b""

        found = [
            await api.http.post(path, content=unread())
            for path in ("/v1/identify", "/api/v1/recognition/recognize")
        ]
        health = await api.http.get("/healthz")
        api.detector.gate.set()
        return [*found, health, await first]

    ours, compreface, health, first = api.run(story())
    check_problem(ours, 503, "overloaded")
    assert (compreface.status_code, compreface.json()["code"]) == (503, 41)
    assert {ours.headers["retry-after"], compreface.headers["retry-after"]} == {"1"}
    assert (health.status_code, first.status_code) == (200, 200)


def test_a_turn_is_over_when_the_connection_closes_after_the_whole_body() -> None:
    workers = workers_of_one()
    seen: list[bytes] = []

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        turn = present_turn()
        assert turn is not None
        left = asyncio.Event()
        with turn.waiting(left.set):
            seen.append((await receive())["body"])
            seen.append((await receive())["body"])
            client.closed.set()
            await asyncio.wait_for(left.wait(), WAIT_S)
        assert (await receive())["type"] == "http.disconnect"

    async def story() -> None:
        await Reception(app, workers=workers)(POST, client.receive, ignored)
        assert present_turn() is None

    client = Client(body(b"ab", more=True), body(b"c", more=False))
    asyncio.run(story())
    workers.close()
    assert seen == [b"ab", b"c"]


def test_nothing_is_heard_of_a_connection_before_the_body_is_asked_for() -> None:
    workers = workers_of_one()
    client = Client(body(b"abc", more=False))

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 204, "headers": []})

    asyncio.run(Reception(app, workers=workers)(POST, client.receive, ignored))
    workers.close()
    assert client.asked == 0


def test_who_leaves_the_line_is_not_worked_for(make_api: ApiMaker) -> None:
    api = make_api(worker_threads=1, max_queued_requests=1)
    api.detector.gate.clear()
    detected = counted(api.detector)
    photo = face_photo(Face(1))
    form = (
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
        + photo
        + b"\r\n--b--\r\n"
    )
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/v1/identify", "raw_path": b"/v1/identify", "query_string": b"", "root_path": "",
        "headers": [
            (b"content-type", b"multipart/form-data; boundary=b"),
            (b"content-length", str(len(form)).encode()),
        ],
    }  # fmt: skip

    async def story() -> list[int]:
        client = Client(body(form, more=False))
        statuses: list[int] = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        files = {"image": ("photo.png", photo)}
        first = asyncio.create_task(api.http.post("/v1/identify", files=files))
        assert await asyncio.to_thread(api.detector.entered.wait, WAIT_S)
        second = asyncio.create_task(api.app(dict(scope), client.receive, send))
        while api.runtime.workers.load() != (1, 1):
            await asyncio.sleep(0.001)
        client.closed.set()
        await asyncio.wait_for(second, WAIT_S)
        assert api.runtime.workers.load() == (1, 0)
        api.detector.gate.set()
        assert (await first).status_code == 200
        return statuses

    assert api.run(story()) == [499]
    api.runtime.workers.close()
    assert len(detected) == 1
    metrics = api.get("/metrics").text
    assert 'path="/v1/identify",status="499"} 1.0' in metrics


def counted(detector: BlockDetector) -> list[int]:
    """Grows with each photo that faces are looked for in."""
    calls: list[int] = []
    detect = detector.detect

    def counting(image: Any) -> Any:
        calls.append(threading.get_ident())
        return detect(image)

    detector.detect = counting  # type: ignore[method-assign]
    return calls
