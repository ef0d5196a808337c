"""The check of a service against its description can fail: faults are planted and found."""

import gc
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Response, UploadFile
from fastapi import Form as FormBody
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel

from benchmarks.conformance import Report, Target, photos_as_files, run, send_rudely
from benchmarks.problem_check import Answer
from benchmarks.rude_requests import RudeRequest, rude_requests
from service import problems
from service.request_id import RequestId
from service.routes.common import problems as documented

EXAMPLES = 4
PHOTOS = [b"first photo", b"second photo"]

# Starlette leaves the file of a part that is cut to the garbage collector, which says so.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Such files are collected in the test that left them, not in another one."""
    yield
    gc.collect()


class Thing(BaseModel):
    size: int


def app_with(answer: Callable[[], Any]) -> FastAPI:
    """One operation without parameters, /thing, described to answer a Thing."""
    app = FastAPI()
    problems.install(app)
    app.add_middleware(RequestId)
    app.get("/thing", response_model=Thing)(answer)
    return app


def examined(app: FastAPI) -> Report:
    report = Report()
    run(Target(document=app.openapi(), app=app), report, examples=EXAMPLES, seed=1)
    return report


def checks_of(report: Report) -> set[str]:
    return {fault.check for fault in report.faults}


def test_a_sound_service_has_no_fault_and_is_asked_as_often_as_wished() -> None:
    report = examined(app_with(lambda: Thing(size=1)))
    assert not report.faults
    assert report.examples["GET /thing"] >= EXAMPLES
    assert report.accepted["GET /thing"] >= EXAMPLES


@pytest.mark.parametrize(
    ("answer", "check"),
    [
        (lambda: JSONResponse({"size": 1}, 202), "status_code_conformance"),
        (lambda: JSONResponse({"size": "large"}), "response_schema_conformance"),
        (lambda: PlainTextResponse("1"), "content_type_conformance"),
        (lambda: PlainTextResponse("no", 404), "problem_json"),
        (lambda: Response(status_code=503), "problem_json"),
        (lambda: Response(status_code=500), "not_a_server_error"),
    ],
)
def test_a_planted_fault_is_found(answer: Callable[[], Response], check: str) -> None:
    report = examined(app_with(answer))
    assert check in checks_of(report)
    assert all(fault.operation == "GET /thing" for fault in report.faults)
    assert report.accepted["GET /thing"] in (0, report.examples["GET /thing"])


def rude(**what: Any) -> RudeRequest:
    return RudeRequest(name="odd", method="GET", target="/thing", statuses=frozenset({200}), **what)


def test_an_answer_that_is_not_among_the_expected_ones_is_a_fault() -> None:
    report = Report()
    headers = {"x-request-id": ["0" * 32]}
    answer = Answer(method="GET", status=204, headers=headers, body=b"")
    send_rudely(lambda _: answer, rude(), report)
    (fault,) = report.faults
    assert (fault.operation, fault.check) == ("GET /thing", "odd")
    assert "204, not one of [200]" in fault.words


def test_a_line_that_is_cut_is_a_fault() -> None:
    report = Report()

    def cut(_: RudeRequest) -> Answer:
        raise ConnectionError("gone")

    send_rudely(cut, rude(), report)
    send_rudely(cut, rude(), report)
    (fault,) = report.faults
    assert "gone" in fault.words
    assert report.faults[fault] == 2
    assert report.rude == 2


def test_every_method_of_every_path_is_tried_and_deletions_come_last() -> None:
    document = {
        "paths": {
            "/a/{a_id}": {
                "delete": {"responses": {"204": {}}},
                "get": {"responses": {"200": {}, "404": {}}},
            }
        }
    }
    requests = list(rude_requests(document, b"photo", {"a_id": "known"}))
    wrong = [r for r in requests if r.name == "method"]
    others = {"HEAD", "POST", "PUT", "PATCH", "OPTIONS", "TRACE", "PROPFIND"}
    assert {r.method for r in wrong} == others
    assert {r.target for r in wrong} == {"/a/known"}
    assert all(r.statuses == {405} for r in wrong)
    documented = [r for r in requests if r.path and r.name not in ("method", "a slash too many")]
    methods = [r.method for r in documented]
    assert methods == sorted(methods, key=lambda method: method == "DELETE")
    assert all(r.statuses == {200, 404} for r in documented if r.method == "GET")
    assert {"/a/%00", "/a/%FF%FE"} <= {r.target for r in documented}


class Form(BaseModel):
    photo: UploadFile


def test_files_are_sent_and_forms_that_send_nothing_are_not_called_invalid() -> None:
    app = FastAPI()
    problems.install(app)
    app.add_middleware(RequestId)

    @app.post("/photo", response_model=Thing, responses=documented(400, 422))
    async def _(form: Annotated[Form, FormBody(media_type="multipart/form-data")]) -> Thing:
        data = await form.photo.read()
        return Thing(size=sum(data == good for good in PHOTOS))

    photos_as_files(PHOTOS, [b"bad"])
    report = Report()
    run(Target(document=app.openapi(), app=app), report, examples=50, seed=1)
    assert not report.faults
    assert report.accepted["POST /photo"] > 10
