"""Idempotency keys: one request is done once, whatever is sent again and when."""

import asyncio
import json
import sys
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import httpx
import pytest

from contract.errors import IdempotencyConflictError, RequestUnderWayError
from service.idempotency import Answer, Idempotency, fingerprint
from tests.conftest import NO_FACE, Api, ApiMaker, check_problem, face_photo

ANN, BOB = face_photo(1), face_photo(2)
CONTENT = b"content"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Work:
    """Counts how often it is done; its answers are numbered. Waits inside while `gate` is shut."""

    def __init__(self) -> None:
        self.done = 0
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def __call__(self) -> Answer:
        self.entered.set()
        assert self.gate.wait(timeout=30)
        self.done += 1
        return Answer(status=201, body=str(self.done).encode())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known(clock: Clock) -> Idempotency:
    """Three answers, ten seconds each."""
    return Idempotency(keep_s=10, most=3, clock=clock)


def test_the_same_request_gets_the_first_answer_again(known: Idempotency) -> None:
    work = Work()
    first = known.once("k", CONTENT, work)
    assert first == Answer(status=201, body=b"1")
    for _ in range(3):
        assert known.once("k", CONTENT, work) == Answer(status=201, body=b"1", replayed=True)
    assert work.done == 1
    assert known.once("other", CONTENT, work).body == b"2"


def test_the_same_key_with_another_content_is_a_conflict(known: Idempotency) -> None:
    work = Work()
    known.once("k", CONTENT, work)
    with pytest.raises(IdempotencyConflictError, match="'k'"):
        known.once("k", b"other", work)
    assert work.done == 1
    assert known.once("k", CONTENT, work).replayed


def test_while_the_first_is_under_way_another_one_is_refused(known: Idempotency) -> None:
    work = Work()
    work.gate.clear()
    first: list[Answer] = []
    thread = threading.Thread(target=lambda: first.append(known.once("k", CONTENT, work)))
    thread.start()
    assert work.entered.wait(timeout=30)
    with pytest.raises(RequestUnderWayError, match="'k'"):
        known.once("k", CONTENT, work)
    with pytest.raises(IdempotencyConflictError):
        known.once("k", b"other", work)
    # Others are not held up by it.
    other = Work()
    assert known.once("free", CONTENT, other).body == b"1"
    work.gate.set()
    thread.join()
    assert first == [Answer(status=201, body=b"1")]
    assert known.once("k", CONTENT, work) == Answer(status=201, body=b"1", replayed=True)


def test_after_a_failure_the_key_is_free(known: Idempotency) -> None:
    def fails() -> Answer:
        raise OSError("disk")

    for _ in range(2):
        with pytest.raises(OSError, match="disk"):
            known.once("k", CONTENT, fails)
    work = Work()
    assert known.once("k", b"other", work) == Answer(status=201, body=b"1")


def test_an_answer_is_kept_for_its_time_from_when_it_was_given(
    known: Idempotency, clock: Clock
) -> None:
    work = Work()

    def slow() -> Answer:
        clock.now += 100
        return work()

    known.once("k", CONTENT, slow)
    clock.now += 9.9
    assert known.once("k", CONTENT, work).replayed
    # Asking for it makes it no younger.
    clock.now += 0.1
    assert known.once("k", b"other", work) == Answer(status=201, body=b"2")


def test_of_too_many_answers_the_oldest_is_forgotten(known: Idempotency) -> None:
    work = Work()
    for key in "abcd":
        known.once(key, CONTENT, work)
    assert [known.once(key, CONTENT, work).replayed for key in "bcd"] == [True] * 3
    assert not known.once("a", CONTENT, work).replayed
    # Which has put the next one out.
    assert not known.once("b", CONTENT, work).replayed


def test_of_too_many_bytes_the_oldest_are_forgotten() -> None:
    known = Idempotency(keep_s=10, most=100, most_bytes=10)

    def answer(key: str, size: int) -> bool:
        """Whether it had been answered before."""
        new = Answer(status=200, body=bytes(size))
        return known.once(key, CONTENT, lambda: new).replayed

    def replayed(keys: str) -> list[bool]:
        return [answer(key, 0) for key in keys]

    assert not any(answer(key, size) for key, size in (("a", 4), ("b", 4), ("c", 5)))

    assert replayed("bca") == [True, True, False]
    # One that is larger than all the room is not kept, and leaves none of its size behind.
    assert not answer("l", 11)
    assert replayed("lbc") == [False, False, False]
    assert not answer("d", 10)
    assert replayed("lbcd") == [True] * 4


def test_one_that_is_under_way_is_not_forgotten_for_others(known: Idempotency) -> None:
    first, work = Work(), Work()
    first.gate.clear()
    thread = threading.Thread(target=known.once, args=("k", CONTENT, first))
    thread.start()
    assert first.entered.wait(timeout=30)
    for n in range(10):
        known.once(str(n), CONTENT, work)
    with pytest.raises(RequestUnderWayError):
        known.once("k", CONTENT, work)
    first.gate.set()
    thread.join()
    assert known.once("k", CONTENT, work).replayed


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns as often as they can: without a lock, some rounds of these go wrong."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
def test_of_many_at_once_one_is_done(known: Idempotency) -> None:
    for round_number in range(300):
        work, barrier = Work(), threading.Barrier(8)
        outcomes: list[Any] = []

        def ask(
            key: str = str(round_number),
            work: Work = work,
            barrier: threading.Barrier = barrier,
            outcomes: list[Any] = outcomes,
        ) -> None:
            barrier.wait()
            try:
                outcomes.append(known.once(key, CONTENT, work))
            except RequestUnderWayError as error:
                outcomes.append(error)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert work.done == 1
        assert len(outcomes) == 8
        answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
        assert {answer.body for answer in answers} == {b"1"}
        assert sum(not answer.replayed for answer in answers) == 1


def test_a_fingerprint_is_of_the_parts_their_order_and_where_they_are_cut() -> None:
    cases = [(), (b"",), (b"", b""), (b"ab",), (b"a", b"b"), (b"b", b"a"), (b"abc",)]
    assert len({fingerprint(parts) for parts in cases}) == len(cases)
    assert fingerprint([b"a", b"b"]) == fingerprint(iter((b"a", b"b")))


# -- over HTTP ------------------------------------------------------------------------------------


def enroll(
    api: Api, key: str, *images: bytes, path: str = "/v1/enroll", **fields: Any
) -> httpx.Response:
    files = [("images", (f"{i}.png", data)) for i, data in enumerate(images)]
    return api.post(path, files=files, data=fields, headers={"Idempotency-Key": key})


def test_an_enrolment_that_is_sent_again_is_answered_again_and_stored_once(api: Api) -> None:
    first = enroll(
        api, "k", ANN, b"hello", name="Ann", metadata='{"n": 1e22, "big": 1' + "0" * 40 + "}"
    )
    assert first.status_code == 201
    assert "idempotent-replayed" not in first.headers
    again = enroll(
        api, "k", ANN, b"hello", name="Ann", metadata='{"n": 1e22, "big": 1' + "0" * 40 + "}"
    )
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"] == "application/json"
    # The body has the first request's id; the header has this one's.
    assert again.json()["request_id"] == first.headers["x-request-id"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    gallery = api.runtime.default.gallery
    assert (gallery.subject_count, gallery.template_count, gallery.revision) == (1, 1, 1)
    # Without the key it is another request.
    assert api.enroll(ANN, name="Ann").status_code == 201
    assert gallery.subject_count == 2


def test_the_status_of_added_templates_is_given_again_too(api: Api) -> None:
    api.enroll(ANN, subject_id="ann")
    answers = [enroll(api, "k", ANN, subject_id="ann") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert api.get("/v1/subjects/ann").json()["template_count"] == 2


def test_the_unversioned_path_is_the_same_operation(api: Api) -> None:
    first = enroll(api, "k", ANN)
    again = enroll(api, "k", ANN, path="/enroll")
    assert again.content == first.content
    assert api.runtime.default.gallery.subject_count == 1


@pytest.mark.parametrize(
    ("images", "fields"),
    [
        ((BOB,), {"name": "Ann"}),
        ((ANN, ANN), {"name": "Ann"}),
        ((ANN,), {"name": "Bob"}),
        ((ANN,), {}),
        ((ANN,), {"name": "Ann", "store_image": "crop"}),
        ((ANN,), {"name": "Ann", "collection": "default"}),
    ],
)
def test_a_key_of_another_request_is_refused(
    api: Api, images: tuple[bytes, ...], fields: dict[str, str]
) -> None:
    enroll(api, "k", ANN, name="Ann")
    problem = check_problem(enroll(api, "k", *images, **fields), 409, "idempotency_conflict")
    assert "'k'" in problem["detail"]
    gallery = api.runtime.default.gallery
    assert (gallery.subject_count, gallery.template_count) == (1, 1)


def test_a_refusal_is_not_kept(api: Api) -> None:
    check_problem(enroll(api, "k", NO_FACE, name="Ann"), 422, "no_usable_face")
    mended = enroll(api, "k", ANN, name="Ann")
    assert mended.status_code == 201
    assert "idempotent-replayed" not in mended.headers


def test_while_the_first_enrolment_is_under_way_the_second_is_refused(api: Api) -> None:
    def ask(photo: bytes) -> Coroutine[Any, Any, httpx.Response]:
        files = [("images", ("0.png", photo))]
        return api.http.post("/v1/enroll", files=files, headers={"Idempotency-Key": "k"})

    async def all_at_once() -> list[httpx.Response]:
        api.detector.gate.clear()
        first = asyncio.create_task(ask(ANN))
        await asyncio.to_thread(api.detector.entered.wait, 30)
        refused = [await ask(ANN), await ask(BOB)]
        api.detector.gate.set()
        return [await first, *refused]

    first, same, other = api.run(all_at_once())
    check_problem(same, 409, "request_under_way")
    check_problem(other, 409, "idempotency_conflict")
    assert first.status_code == 201
    assert enroll(api, "k", ANN).content == first.content
    assert api.runtime.default.gallery.template_count == 1


def test_an_answer_is_kept_for_a_client_that_has_gone_away(api: Api) -> None:
    def ask() -> Coroutine[Any, Any, httpx.Response]:
        files = [("images", ("0.png", ANN))]
        return api.http.post("/v1/enroll", files=files, headers={"Idempotency-Key": "k"})

    async def give_up_and_ask_again() -> httpx.Response:
        api.detector.gate.clear()
        first = asyncio.create_task(ask())
        await asyncio.to_thread(api.detector.entered.wait, 30)
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
        api.detector.gate.set()
        for _ in range(300):
            again = await ask()
            if again.status_code != 409:
                break
            await asyncio.sleep(0.1)
        return again

    again = api.run(give_up_and_ask_again())
    assert (again.status_code, again.headers.get("idempotent-replayed")) == (201, "true")
    assert api.runtime.default.gallery.template_count == 1


def test_a_repetition_does_not_bring_back_who_was_deleted(api: Api) -> None:
    first = enroll(api, "k", ANN, name="Ann")
    api.delete(f"/v1/subjects/{first.json()['subject']['id']}")
    assert enroll(api, "k", ANN, name="Ann").content == first.content
    assert api.get("/v1/subjects").json()["subjects"] == []


def test_a_restart_forgets_keys(make_api: ApiMaker) -> None:
    api = make_api()
    enroll(api, "k", ANN)
    api.runtime.close()
    again = enroll(make_api(), "k", ANN)
    assert (again.status_code, "idempotent-replayed" in again.headers) == (201, False)


def test_settings_bound_what_is_kept(make_api: ApiMaker) -> None:
    api = make_api(max_idempotency_keys=1)
    for key in ("a", "b"):
        enroll(api, key, ANN)
    assert "idempotent-replayed" in enroll(api, "b", ANN).headers
    assert "idempotent-replayed" not in enroll(api, "a", ANN).headers


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    problem = check_problem(enroll(api, key, ANN), 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == ["Idempotency-Key"]
    assert api.runtime.default.gallery.subject_count == 0


def test_metadata_comes_back_as_it_was_sent(api: Api) -> None:
    given = {"f": [0.1, 1e22, 1e-7, -0.0], "i": 10**40, "u": "é\u2028\U0001f600", "n": None}
    answer = enroll(api, "k", ANN, subject_id="ann", metadata=json.dumps(given))
    assert answer.json()["subject"]["metadata"] == given
    assert api.get("/v1/subjects/ann").json()["metadata"] == given
