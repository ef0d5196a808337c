"""Who did it, in the audit log: each entry names the key whose request it came from, by its id."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from benchmarks.asgi import AsgiTransport
from index.actor import acting, actor
from index.audit_log import told_entries
from service.access.key_text import id_of
from service.client import Client
from service.jobs import JobResult, Jobs, Progress
from tests.conftest import Api, ApiMaker, face_photo
from tests.keyed import ADMIN_KEY, bearer, create, made
from tests.reembedded import PATH as REEMBED
from tests.unit.test_service_calibrations import PATH as CALIBRATIONS
from tests.unit.test_service_calibrations import enrol_people
from tests.unit.test_service_imports import zipped

WAIT_S = 30.0
ANN, BOB = face_photo(1), face_photo(2)
COMPREFACE = "/api/v1/recognition"

Log = list[tuple[str, str | None]]


def log_of(api: Api, *, since: int = 0) -> Log:
    """What was done by which key."""
    entries = list(told_entries(api.runtime.galleries))[since:]
    return [(entry["action"], entry["detail"]["by"]) for entry in entries]


class Asking:
    """Requests of one key, all of which have to succeed; what they leave in the log."""

    def __init__(self, api: Api) -> None:
        self.api, self.key = api, made(api, "admin")
        self.since = len(log_of(api))

    def __call__(self, method: str, path: str, **what: Any) -> httpx.Response:
        headers = bearer(self.key) | {"x-api-key": self.key} | what.pop("headers", {})
        answer = self.api.request(method, path, headers=headers, **what)
        assert answer.is_success, answer.text
        if answer.status_code == 202:
            job = self.api.runtime.jobs.wait(answer.json()["job"]["id"], timeout_s=WAIT_S)
            assert job.status == "succeeded", job.error
        return answer

    def enroll(self, photo: bytes, *, again: str | None = None, **fields: str) -> str:
        """The template's id."""
        headers = {} if again is None else {"Idempotency-Key": again}
        files = {"images": ("0.png", photo)}
        answer = self("POST", "/v1/enroll", files=files, data=fields, headers=headers)
        return str(answer.json()["accepted"][0]["template_id"])

    def left(self) -> list[str]:
        """Actions that are in the log since, all of them by this key alone."""
        log = log_of(self.api, since=self.since)
        assert {by for _, by in log} <= {id_of(self.key)}
        return [action for action, _ in log]


@pytest.fixture
def keyed(make_api: ApiMaker, next_bundle: Any) -> Api:
    return make_api(admin_key=ADMIN_KEY, further_bundle_paths=str(next_bundle))


def test_what_a_service_does_when_it_starts_nobody_asked_for(keyed: Api) -> None:
    assert log_of(keyed) == [("create_collection", None)]


def test_without_keys_nobody_is_named(api: Api) -> None:
    api.enroll(ANN, subject_id="ann")
    api.delete("/v1/subjects/ann")
    assert log_of(api) == [("create_collection", None), ("enrol", None), ("remove", None)]


def test_subjects_and_templates(keyed: Api) -> None:
    ask = Asking(keyed)
    template = ask.enroll(ANN, subject_id="ann")
    ask.enroll(BOB, subject_id="bob")
    ask("PATCH", "/v1/subjects/ann", json={"name": "Ann"})
    ask("DELETE", f"/v1/templates/{template}")
    ask("POST", "/v1/subjects/bob/merge", json={"into": "ann"})
    ask("DELETE", "/v1/subjects/ann")
    assert ask.left() == [
        *("enrol", "enrol", "amend", "remove_template", "merge", "merged_away", "remove")
    ]


def test_a_repeated_enrolment_is_the_one_of_the_key_that_sent_it(keyed: Api) -> None:
    one = Asking(keyed)
    assert one.enroll(ANN, again="x") == one.enroll(ANN, again="x")
    assert one.left() == ["enrol"]
    other = Asking(keyed)
    other.enroll(ANN, again="x")
    assert other.left() == ["enrol"]


def test_feedback(keyed: Api) -> None:
    ask = Asking(keyed)
    ask.enroll(ANN, subject_id="ann")
    (face,) = ask("POST", "/v1/identify", files={"image": ("0.png", ANN)}).json()["faces"]
    wish = {"receipt": face["receipt"], "verdict": "confirmed"}
    said = ask("POST", "/v1/feedback", json=wish).json()
    ask("DELETE", f"/v1/feedback/{said['id']}")
    assert ask.left() == ["enrol", "feedback", "remove_feedback"]


def test_collections_and_keys(keyed: Api) -> None:
    ask = Asking(keyed)
    ask("POST", "/v1/collections", json={"id": "staff"})
    ask("DELETE", "/v1/collections/staff")
    door = ask("POST", "/v1/keys", json={"name": "door", "scopes": ["identify"]}).json()
    ask("DELETE", f"/v1/keys/{door['id']}")
    assert ask.left() == ["create_collection", "remove_collection", "create_key", "delete_key"]


def test_jobs(keyed: Api) -> None:
    ask = Asking(keyed)
    archive = zipped({"ann/1.png": ANN, "bob/1.png": BOB})
    ask("POST", "/v1/imports", files={"archive": ("photos.zip", archive)})
    assert ask.left() == ["enrol", "enrol"]
    ask = Asking(keyed)
    ask("POST", "/v1/exports", json={})
    ask("POST", "/v1/collections/default/rekey")
    assert ask.left() == ["rekey_begin", "rekey_switch", "rekey_end"]
    enrol_people(keyed, 31)
    ask = Asking(keyed)
    ask("POST", CALIBRATIONS, files=[("strangers", ("0.png", face_photo(3)))])
    assert ask.left() == ["calibrate"]


def test_re_embedding(keyed: Api) -> None:
    first = Asking(keyed)
    first.enroll(ANN, subject_id="ann", store_image="crop")
    first("POST", REEMBED, json={"bundle": "next"})
    assert first.left() == ["enrol", "reembed_begin"]
    second = Asking(keyed)
    second("POST", f"{REEMBED}/switch", json={})
    second("POST", f"{REEMBED}/rollback", json={})
    second("DELETE", REEMBED)
    second("DELETE", f"{REEMBED}/former")
    assert second.left()[:2] == ["reembed_switch", "reembed_roll_back"]
    assert set(second.left()[2:]) == {"reembed_drop"}


def test_compreface(keyed: Api) -> None:
    ask = Asking(keyed)
    ask("POST", f"{COMPREFACE}/subjects", json={"subject": "Ann"})
    photo = ask("POST", f"{COMPREFACE}/faces?subject=Ann", files={"file": ("0.png", ANN)}).json()
    ask("PUT", f"{COMPREFACE}/subjects/Ann", json={"subject": "Anna"})
    ask("DELETE", f"{COMPREFACE}/faces/{photo['image_id']}")
    ask("DELETE", f"{COMPREFACE}/subjects/Anna")
    ask("POST", f"{COMPREFACE}/faces?subject=Bob", files={"file": ("0.png", BOB)})
    ask("DELETE", f"{COMPREFACE}/subjects")
    assert ask.left() == [
        *("add_subject", "enrol", "amend", "remove_template", "remove", "enrol", "remove")
    ]


def test_requests_of_several_keys_at_a_time_do_not_take_each_others(make_api: ApiMaker) -> None:
    """While the gallery is held up they wait for one commit, which one of them makes for all."""
    api = make_api(admin_key=ADMIN_KEY, worker_threads=4, max_queued_requests=16)
    asking = {f"s{n}": Asking(api) for n in range(4)}
    queue = api.runtime.galleries.queue
    since = len(log_of(api))

    async def at_once() -> None:
        sent = [
            asyncio.create_task(
                api.http.post(
                    "/v1/enroll",
                    files={"images": ("0.png", face_photo(n))},
                    data={"subject_id": subject_id},
                    headers=bearer(ask.key),
                )
            )
            for n, (subject_id, ask) in enumerate(asking.items())
        ]
        with held_up(queue):
            until = time.monotonic() + WAIT_S
            while len(queue._waiting) < len(sent):
                assert time.monotonic() < until
                await asyncio.sleep(0.005)
        for answer in await asyncio.gather(*sent):
            assert answer.status_code == 201, answer.text

    api.run(at_once())
    entries = list(told_entries(api.runtime.galleries))[since:]
    assert {e["subject_id"]: e["detail"]["by"] for e in entries} == {
        subject_id: id_of(ask.key) for subject_id, ask in asking.items()
    }


@contextmanager
def held_up(queue: Any) -> Iterator[None]:
    """Nothing is written meanwhile."""
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        assert go.wait(WAIT_S)

    thread = threading.Thread(target=queue.exclusively, args=(hold,))
    thread.start()
    assert held.wait(WAIT_S)
    try:
        yield
    finally:
        go.set()
        thread.join()


def test_a_job_is_its_keys_whoever_asks_while_it_waits() -> None:
    jobs = Jobs(queue=2, history=3)
    go = threading.Event()
    seen: list[str | None] = []

    def work(progress: Progress) -> JobResult:
        assert go.wait(WAIT_S)
        seen.append(actor())
        return None

    with acting("a"):
        jobs.submit("first", work)
    with acting("b"):
        jobs.submit("second", work)
        go.set()
    last = jobs.submit("third", work)
    assert jobs.wait(last.id, timeout_s=WAIT_S).status == "succeeded"
    jobs.close()
    assert seen == ["a", "b", None]


def test_the_client_says_it_as_json_does(make_api: ApiMaker) -> None:
    api = make_api(admin_key=ADMIN_KEY)
    boss = create(api, ADMIN_KEY, scopes=["admin"])
    api.post("/v1/collections", json={"id": "staff"}, headers=bearer(boss["key"]))
    transport = AsgiTransport(api)
    with Client("http://oneglance", api_key=ADMIN_KEY, transport=transport) as client:
        shown = client.list_audit().entries
    entries = api.get("/v1/audit", headers=bearer(ADMIN_KEY)).json()["entries"]
    assert [entry.model_dump(mode="json") for entry in shown] == entries
    assert [entry.detail["by"] for entry in shown] == [None, "settings", boss["id"]]
