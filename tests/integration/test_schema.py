"""The service in this process keeps its OpenAPI description; `make proof-schema` asks far more."""

import gc
from collections.abc import Iterator
from itertools import islice
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from benchmarks.conformance import (
    Report,
    Target,
    photos_as_files,
    run,
    send_rudely,
)
from benchmarks.problem_check import Answer
from benchmarks.rude_requests import NO_METHOD, RudeRequest, rude_requests
from benchmarks.schema_check import answer_of, bad_photos
from tests.conftest import Api, ApiMaker, BundleMaker, Face, face_photo
from tests.keyed import ADMIN_KEY

EXAMPLES = 3
# Both ways, or schemathesis makes up the other one and takes it for what was let in.
KEY = {"Authorization": f"Bearer {ADMIN_KEY}", "x-api-key": ADMIN_KEY}
# Of the rude requests every so many: they come in groups of other sizes.
STEP = 23

# Starlette leaves the file of a part that is cut to the garbage collector, which says so.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Such files are collected in the test that left them, not in another one."""
    yield
    gc.collect()


@pytest.fixture
def served(make_api: ApiMaker, make_bundle: BundleMaker) -> Api:
    whole = make_bundle(fit="pad", name="whole")
    # Without a key schemathesis would find that none is asked for.
    api = make_api(further_bundle_paths=str(whole), admin_key=ADMIN_KEY)
    api.http.headers.update(KEY)
    made = api.post("/v1/collections", json={"id": "things", "bundle": "whole"})
    assert made.status_code == 201
    return api


def without_lifespan(app: ASGIApp) -> ASGIApp:
    """The fixture closes the runtime, not schemathesis when this process ends."""

    async def requests_only(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await app(scope, receive, send)

    return requests_only


def described(api: Api) -> dict[str, Any]:
    document: dict[str, Any] = api.get("/openapi.json").json()
    return document


def words_of(report: Report) -> list[str]:
    return [f"{fault}\n{fault.sample}" for fault in report.faults]


def test_schemathesis_finds_nothing(served: Api) -> None:
    photos_as_files([face_photo(1), face_photo(2, Face(3, side=60))], bad_photos()[:4])
    document = described(served)
    report = Report()
    target = Target(document=document, app=without_lifespan(served.app), headers=KEY)
    run(target, report, examples=EXAMPLES, seed=7)
    assert words_of(report) == []
    asked = {f"{method.upper()} {path}" for path, of in document["paths"].items() for method in of}
    assert set(report.examples) == asked
    assert min(report.examples.values()) >= EXAMPLES
    assert report.chains >= EXAMPLES
    assert report.accepted["POST /v1/enroll"] > 0
    assert report.accepted["POST /v1/identify"] > 0


def test_rude_requests_are_answered_as_described(served: Api) -> None:
    enrolled = served.enroll(face_photo(1)).json()
    known = {
        "collection_id": "default",
        "subject_id": enrolled["subject"]["id"],
        "template_id": enrolled["accepted"][0]["template_id"],
    }
    report = Report()

    def send(request: RudeRequest) -> Answer:
        target = httpx.URL("http://oneglance").copy_with(raw_path=request.target.encode())
        answer = served.run(
            served.http.request(
                request.method, target, headers=list(request.headers), content=request.body
            )
        )
        return answer_of(request.method, answer)

    # What HTTP does not know ends at the server, which is not there: test_service_http_protocol.py.
    every = (
        request
        for request in rude_requests(described(served), face_photo(1), known)
        if request.method != NO_METHOD
    )
    for request in islice(every, None, None, STEP):
        send_rudely(send, request, report)
    assert words_of(report) == []
    assert report.rude > 100
