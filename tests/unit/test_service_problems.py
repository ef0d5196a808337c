"""What goes wrong around the routes: limits, overload, accidents; and that the loop stays free."""

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx
import pytest

from contract import errors as e
from index.gallery import Gallery
from service.problems import INTERNAL, TABLE, kind_of
from tests.conftest import Api, ApiMaker, check_problem, face_photo

WAIT_S = 30.0


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/enroll", 405, "method_not_allowed"),
        ("DELETE", "/v1/identify", 405, "method_not_allowed"),
        ("POST", "/v1/subjects", 405, "method_not_allowed"),
        ("PUT", "/v1/subjects/x", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
    ],
)
def test_a_wrong_path_or_method_is_a_problem(
    api: Api, method: str, path: str, status: int, code: str
) -> None:
    answer = api.request(method, path)
    check_problem(answer, status, code)
    assert ("allow" in answer.headers) == (status == 405)


def test_each_request_has_an_id_of_its_own(api: Api) -> None:
    ids = [api.get("/healthz").headers["x-request-id"] for _ in range(3)]
    assert len(set(ids)) == 3
    given = api.get("/nowhere", headers={"x-request-id": "mine"})
    assert check_problem(given, 404, "not_found")["request_id"] != "mine"


def test_a_body_whose_announced_length_is_too_much_is_refused_unread(make_api: ApiMaker) -> None:
    api = make_api(max_body_bytes=1000)

    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    answer = api.post("/v1/enroll", content=never(), headers={"content-length": "1001"})
    problem = check_problem(answer, 413, "body_too_large")
    assert "1000 bytes" in problem["detail"]
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("announced", [{}, {"content-length": "10"}, {"content-length": "many"}])
def test_a_body_that_grows_past_the_limit_is_cut_off(
    make_api: ApiMaker, announced: dict[str, str]
) -> None:
    api = make_api(max_body_bytes=100_000)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="images"; filename="x"\r\n\r\n'
        while True:
            sent += 10_000
            assert sent < 200_000, "nobody stopped it"
            yield bytes(10_000)

    headers = {"content-type": "multipart/form-data; boundary=b", **announced}
    for path in ("/v1/enroll", "/v1/identify"):
        sent = 0
        answer = api.post(path, content=endless(), headers=headers)
        check_problem(answer, 413, "body_too_large")
        assert answer.headers["connection"] == "close"


def test_a_body_of_the_limit_is_taken(make_api: ApiMaker) -> None:
    request = httpx.Request("POST", "http://x", files={"image": ("photo.png", face_photo(1))})
    size = len(request.read())
    assert make_api(max_body_bytes=size).identify(face_photo(1)).status_code == 200


def test_overload_is_answered_at_once_and_passes(make_api: ApiMaker) -> None:
    api = make_api(worker_threads=1, max_queued_requests=0)
    api.detector.gate.clear()

    async def story() -> tuple[httpx.Response, list[httpx.Response]]:
        files = {"image": ("photo.png", face_photo(1))}
        taken = asyncio.create_task(api.http.post("/v1/identify", files=files))
        assert await asyncio.to_thread(api.detector.entered.wait, WAIT_S)
        refused = [
            await asyncio.wait_for(request, WAIT_S)
            for request in (
                api.http.post("/v1/identify", files=files),
                api.http.post("/v1/enroll", files=[("images", ("0.png", face_photo(1)))]),
                api.http.get("/v1/subjects"),
            )
        ]
        # Taken for one that is not ready, it would leave its share to others as busy.
        assert (await asyncio.wait_for(api.http.get("/readyz"), WAIT_S)).status_code == 200
        assert not taken.done()
        api.detector.gate.set()
        return await taken, refused

    taken, refused = api.run(story())
    assert taken.status_code == 200
    for answer in refused:
        check_problem(answer, 503, "overloaded")
        assert answer.headers["retry-after"] == "1"
    assert api.identify(face_photo(1)).status_code == 200
    assert api.get("/readyz").status_code == 200


def test_the_event_loop_is_free_while_a_worker_is_busy(make_api: ApiMaker) -> None:
    api = make_api(worker_threads=1)
    api.detector.gate.clear()

    async def story() -> tuple[list[httpx.Response], httpx.Response]:
        files = {"image": ("photo.png", face_photo(1))}
        busy = asyncio.create_task(api.http.post("/v1/identify", files=files))
        assert await asyncio.to_thread(api.detector.entered.wait, WAIT_S)
        healths = [await asyncio.wait_for(api.http.get("/healthz"), WAIT_S) for _ in range(3)]
        assert not busy.done()
        api.detector.gate.set()
        return healths, await busy

    healths, identified = api.run(story())
    assert [answer.status_code for answer in healths] == [200, 200, 200]
    assert len(identified.json()["faces"]) == 1


def test_an_accident_is_logged_and_not_shown(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a secret of the house")

    monkeypatch.setattr(Gallery, "search", broken)
    with caplog.at_level(logging.ERROR, "service.problems"):
        answer = api.identify(face_photo(1))
    problem = check_problem(answer, 500, "internal_error")
    assert "secret" not in answer.text
    (record,) = [r for r in caplog.records if r.name == "service.problems"]
    assert problem["request_id"] in record.getMessage()
    assert "a secret of the house" in caplog.text


def test_every_domain_error_that_a_request_can_meet_has_its_kind() -> None:
    for error, status, code in (
        (e.NotAnImageError("x"), 415, "not_an_image"),
        (e.EmptyFileError("x"), 422, "empty_file"),
        (e.DamagedImageError("x"), 422, "damaged_image"),
        (e.ImageTooLargeError("x"), 413, "image_too_large"),
        (e.NoUsableFaceError("x"), 422, "no_usable_face"),
        (e.SubjectNotFoundError("x"), 404, "subject_not_found"),
        (e.SubjectConflictError("x"), 409, "subject_conflict"),
        (
            e.ContractMismatchError(gallery_contract_id="a", bundle_contract_id="b"),
            409,
            "bundle_mismatch",
        ),
        (e.GalleryFullError("x"), 507, "storage_full"),
        (e.GalleryUnavailableError("x"), 503, "gallery_unavailable"),
        (e.OverloadedError("x"), 503, "overloaded"),
    ):
        kind = kind_of(error)
        assert (kind.status, kind.code) == (status, code)
    assert kind_of(e.GalleryError("x")) is kind_of(KeyError("x")) is INTERNAL


def test_one_code_has_one_status_and_title() -> None:
    kinds = {kind.code: kind for kind in TABLE.values()}
    assert all(kind == kinds[kind.code] for kind in TABLE.values())
