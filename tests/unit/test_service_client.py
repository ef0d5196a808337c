"""Both clients against the real application: every call, pages, jobs, errors and retries."""

import inspect
import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.asgi import AsgiTransport
from service.app import create_app
from service.calibration_answer import CalibrationList
from service.client import ApiError, AsyncClient, Client
from service.schemas import EnrollAnswer, Health
from tests.conftest import NO_FACE, Api, Face, face_photo

ANNA, BEN = face_photo(1), face_photo(2)
URL = "http://oneglance"

Handler = Callable[[httpx.Request], httpx.Response | None]
After = Callable[[httpx.Response], httpx.Response]


class Awaited:
    """An AsyncClient whose calls are awaited at once, so that one test tries both clients."""

    def __init__(self, api: Api, client: AsyncClient) -> None:
        self._api, self._client = api, client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            made = method(*args, **kwargs)
            if inspect.isasyncgen(made):
                return iter(self._api.run(_listed(made)))
            return self._api.run(made)

        return call


async def _listed(items: Any) -> list[Any]:
    return [item async for item in items]


class Through(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Lets `handler` answer; what it answers None to goes on to the application.

    after: sees what the application answers, and may put another answer in its place.
    """

    def __init__(self, api: Api, handler: Handler, after: After) -> None:
        self._sync = AsgiTransport(api)
        self._async = httpx.ASGITransport(create_app(api.runtime))
        self._handler, self._after = handler, after

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self._handler(request) or self._after(self._sync.handle_request(request))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        if answer := self._handler(request):
            return answer
        answer = await self._async.handle_async_request(request)
        await answer.aread()
        return self._after(answer)


MakeClient = Callable[..., Client]


@pytest.fixture(params=["sync", "async"])
def make_client(request: pytest.FixtureRequest, api: Api) -> Iterator[MakeClient]:
    """make_client(handler=..., after=..., **options) -> a client of the application; see Through.

    As one of Client's type, whichever it is.
    """
    made: list[Any] = []

    def make(
        handler: Handler = lambda _: None, after: After = lambda answer: answer, **options: Any
    ) -> Any:
        transport = Through(api, handler, after)
        if request.param == "sync":
            made.append(Client(URL, transport=transport, **options))
        else:
            made.append(Awaited(api, AsyncClient(URL, transport=transport, **options)))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client()


def enrolled(client: Client, image: bytes, **facts: Any) -> str:
    return client.enroll(image, **facts).subject.id


def test_photos_are_paths_bytes_and_open_files(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "anna.png"
    path.write_bytes(ANNA)
    named = path.open("rb")
    with named:
        answer = client.enroll([str(path), path, ANNA, io.BytesIO(ANNA), named])
    assert [image.filename for image in answer.accepted] == [
        "anna.png",
        "anna.png",
        "image",
        "image",
        "anna.png",
    ]
    # One photo needs no list, whatever it comes as.
    for photo in (str(path), path, ANNA, io.BytesIO(ANNA)):
        assert len(client.enroll(photo).accepted) == 1
    with pytest.raises(FileNotFoundError):
        client.detect(tmp_path / "nobody.png")


def test_enrol_with_all_facts_and_identify(client: Client) -> None:
    until = datetime(2999, 1, 2, tzinfo=UTC)
    answer = client.enroll(
        [ANNA, NO_FACE],
        subject_id="anna",
        name="Anna",
        external_id="7",
        metadata={"team": "blau", "n": [1]},
        expires_at=until,
        consent_ref="paper 3",
        quality="off",
        face_policy="single",
        duplicate_check="off",
    )
    subject = answer.subject
    assert (subject.id, subject.name, subject.external_id) == ("anna", "Anna", "7")
    assert (subject.created, subject.metadata) == (True, {"team": "blau", "n": [1]})
    assert subject.expires_at is not None
    assert datetime.fromisoformat(subject.expires_at) == until
    assert [image.index for image in answer.rejected] == [1]

    found = client.identify(face_photo(Face(1, side=200), 3), top_k=2, threshold=0.9)
    assert sorted(face.decision for face in found.faces) == ["match", "unknown"]
    assert found.threshold.value == 0.9
    (face,) = client.identify(ANNA, mode="investigate", max_faces=1, min_quality=0).faces
    assert face.decision == "not_evaluated"
    assert face.candidates[0].subject.name == "Anna"

    batch = client.identify_batch([ANNA, b"no image", NO_FACE], top_k=1)
    first, second, third = batch.results
    assert first.answer is not None
    assert first.answer.faces[0].subject is not None
    assert second.problem is not None
    assert second.problem.code == "not_an_image"
    assert third.answer is not None
    assert third.answer.faces == []


def test_verify_detect_and_embed(client: Client) -> None:
    anna = enrolled(client, ANNA)
    assert client.verify(ANNA, other_image=ANNA, threshold=0.9).decision == "match"
    assert client.verify(ANNA, other_image=BEN, threshold=0.9).decision == "no_match"
    answer = client.verify(ANNA, subject_id=anna, threshold=0.9)
    assert answer.subject is not None
    assert answer.subject.id == anna
    assert len(client.detect(face_photo(1, 2)).faces) == 2
    seen = client.embed(face_photo(1, 2), max_faces=1)
    assert [len(face.embedding) for face in seen.faces] == [seen.contract.size]


def test_subjects_and_templates(client: Client) -> None:
    anna = enrolled(client, ANNA, name="Anna", consent_ref="c")
    ben = enrolled(client, BEN, name="Ben", store_image="crop")
    assert client.get_subject(anna).name == "Anna"
    changed = client.update_subject(anna, name="Anne", metadata={"a": 1})
    assert (changed.name, changed.metadata, changed.consent_ref) == ("Anne", {"a": 1}, "c")
    assert client.update_subject(anna, consent_ref=None).consent_ref is None

    (template,) = client.list_templates(ben).templates
    assert client.get_template(template.id) == template
    assert template.has_crop
    assert client.get_crop(template.id).startswith(b"\x89PNG")
    assert client.merge_subject(ben, into=anna).template_count == 2
    client.delete_template(template.id)
    assert client.get_subject(anna).template_count == 1
    client.delete_subject(anna)
    assert client.list_subjects().subjects == []


def test_all_pages_of_subjects(client: Client) -> None:
    ids = [enrolled(client, ANNA, name="twin" if i % 2 else "other") for i in range(5)]
    assert [subject.id for subject in client.iter_subjects(page_size=2)] == ids
    assert [subject.id for subject in client.iter_subjects(page_size=5)] == ids
    assert [s.id for s in client.iter_subjects(name="twin", page_size=1)] == ids[1::2]
    assert list(client.iter_subjects(external_id="nobody's")) == []
    assert client.list_subjects(limit=2).next_cursor is not None


def test_collections_and_bundles(client: Client) -> None:
    (bundle,) = client.list_bundles().bundles
    made = client.create_collection("staff", bundle=bundle.name)
    assert client.create_collection("guests").bundle == made.bundle
    enrolled(client, ANNA, subject_id="anna", collection="staff")
    assert client.get_collection("staff").subject_count == 1
    assert client.identify(ANNA, collection="guests", threshold=0.9).faces[0].subject is None
    assert client.get_subject("anna", collection="staff").id == "anna"
    client.delete_collection("staff")
    assert {c.id for c in client.list_collections().collections} == {"default", "guests"}
    assert client.list_calibrations("guests") == CalibrationList(calibrations=[])


def test_the_service_says_how_it_is(client: Client) -> None:
    assert client.healthz() == Health()
    ready = client.readyz()
    assert (ready.subject_count, ready.detector) == (0, "blocks")


def test_waiting_for_a_job(client: Client) -> None:
    enrolled(client, ANNA)
    job = client.report_health("default").job
    done = client.wait_for_job(job.id, timeout_s=30, poll_s=0.01)
    assert (done.status, done.progress) == ("succeeded", 1)
    assert done.result is not None


def test_a_job_that_fails_is_an_error(client: Client) -> None:
    for strangers in ((), [BEN, BEN]):
        job = client.calibrate("default", strangers=strangers).job
        with pytest.raises(ApiError) as caught:
            client.wait_for_job(job.id, timeout_s=30, poll_s=0.01)
        assert caught.value.code == "too_little_data"
        assert client.get_job(job.id).status == "failed"


def test_a_job_that_takes_too_long(client: Client, api: Api) -> None:
    api.detector.gate.clear()
    job = client.calibrate("default", strangers=ANNA).job
    with pytest.raises(TimeoutError, match=job.id):
        client.wait_for_job(job.id, timeout_s=0.02, poll_s=0.01)


def test_a_refusal_says_what_is_wrong(client: Client) -> None:
    with pytest.raises(ApiError) as caught:
        client.enroll([NO_FACE, NO_FACE])
    error = caught.value
    assert (error.status, error.code, error.retry_after_s) == (422, "no_usable_face", None)
    assert [item["index"] for item in error.errors] == [0, 1]
    assert len(error.request_id or "") == 32
    assert error.detail in str(error)
    with pytest.raises(ApiError, match="404 subject_not_found"):
        client.get_subject("nobody")


def test_an_answer_of_something_else_is_an_error_too(make_client: MakeClient) -> None:
    client = make_client(lambda _: httpx.Response(502, html="<h1>Bad Gateway</h1>"))
    with pytest.raises(ApiError) as caught:
        client.list_bundles()
    error = caught.value
    assert (error.status, error.code, error.errors) == (502, "bad_gateway", [])
    assert (error.detail, error.request_id) == ("<h1>Bad Gateway</h1>", None)
    client = make_client(lambda _: httpx.Response(599))
    with pytest.raises(ApiError, match="599 unknown_status"):
        client.list_bundles()
    # A page to log in at, say.
    client = make_client(lambda _: httpx.Response(200, html="<h1>Welcome</h1>"))
    with pytest.raises(ApiError, match="200 unknown_answer: <h1>Welcome"):
        client.list_bundles()


def test_no_answer_is_an_error_of_httpx(make_client: MakeClient) -> None:
    def unreachable(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody is there", request=request)

    with pytest.raises(httpx.ConnectError):
        make_client(unreachable).healthz()


class Busy:
    """Refuses the first requests; remembers all of them."""

    def __init__(self, times: int, *, after: str | None = "0", status: int = 503) -> None:
        self.times, self.status = times, status
        self.headers = {} if after is None else {"Retry-After": after}
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response | None:
        self.seen.append(request)
        if len(self.seen) > self.times:
            return None
        return httpx.Response(self.status, headers=self.headers, text="busy")


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_asked_again(make_client: MakeClient, status: int) -> None:
    busy = Busy(2, status=status)
    answer: EnrollAnswer = make_client(busy).enroll(io.BytesIO(ANNA), name="Anna")
    assert answer.subject.template_count == 1
    assert len(busy.seen) == 3
    keys = {request.headers["Idempotency-Key"] for request in busy.seen}
    assert len(keys) == 1
    # An open file is read once, and its content sent each time.
    assert all(ANNA in request.content for request in busy.seen)


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_retries_have_an_end(make_client: MakeClient, retries: int) -> None:
    busy = Busy(99)
    with pytest.raises(ApiError, match="503 service_unavailable") as caught:
        make_client(busy, retries=retries).healthz()
    assert caught.value.retry_after_s == 0
    assert len(busy.seen) == retries + 1


@pytest.mark.parametrize(
    ("after", "status", "told_s"),
    [
        (None, 503, None),
        ("31", 503, 31),
        ("Fri, 27 Nov 2026 15:00:00 GMT", 503, None),
        ("0", 500, 0),
    ],
)
def test_what_is_not_asked_again(
    make_client: MakeClient, after: str | None, status: int, told_s: float | None
) -> None:
    busy = Busy(99, after=after, status=status)
    with pytest.raises(ApiError) as caught:
        make_client(busy).healthz()
    assert caught.value.retry_after_s == told_s
    assert len(busy.seen) == 1


def test_a_retry_enrols_nobody_twice(make_client: MakeClient, api: Api) -> None:
    """The service enrols, and its first answer gets lost on the way."""
    given: list[Any] = []

    def lossy(answer: httpx.Response) -> httpx.Response:
        given.append(answer.json())
        return httpx.Response(503, headers={"Retry-After": "0"}) if len(given) == 1 else answer

    subject = make_client(after=lossy).enroll(ANNA).subject
    assert [answer["subject"]["id"] for answer in given] == [subject.id, subject.id]
    assert api.runtime.default.gallery.stored().template_count == 1


def test_each_call_has_a_key_of_its_own_unless_given(make_client: MakeClient) -> None:
    seen = Busy(0)
    client = make_client(seen)
    first, second = client.enroll(ANNA), client.enroll(ANNA)
    assert first.subject.id != second.subject.id
    mine = client.enroll(ANNA, idempotency_key="mine")
    assert client.enroll(ANNA, idempotency_key="mine") == mine
    assert [request.headers["Idempotency-Key"] for request in seen.seen[2:]] == ["mine", "mine"]


def test_the_key_of_the_api_is_sent(make_client: MakeClient) -> None:
    seen = Busy(0)
    make_client(seen, api_key="s3cret").healthz()
    make_client(seen).healthz()
    with_key, without = seen.seen
    assert with_key.headers["Authorization"] == "Bearer s3cret"
    assert "Authorization" not in without.headers


def test_what_a_newer_service_says_besides_is_left_out(make_client: MakeClient) -> None:
    newer = {"collections": [], "total": 0}
    answer = make_client(lambda _: httpx.Response(200, json=newer)).list_collections()
    assert answer.collections == []


def test_a_client_closes_itself(api: Api) -> None:
    with Client(URL, transport=AsgiTransport(api)) as client:
        client.healthz()
    with pytest.raises(RuntimeError, match="closed"):
        client.healthz()

    async def awaited() -> None:
        async with AsyncClient(
            URL, transport=httpx.ASGITransport(create_app(api.runtime))
        ) as other:
            await other.healthz()
        with pytest.raises(RuntimeError, match="closed"):
            await other.healthz()

    api.run(awaited())
