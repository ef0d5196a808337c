"""Stages: metrics and traces are told what took how long, of every request that works on photos."""

import asyncio
import base64
import inspect
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import pytest
from fastapi.routing import APIRoute
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from benchmarks.openapi import SNAPSHOT
from service.compreface import faces, photos, subjects
from service.recognizer import Timing
from service.tracing import Tracing
from tests.conftest import NO_FACE, Api, ApiMaker, face_photo

PHOTO: Final = face_photo(1)
FORM, JSON = "multipart/form-data", "application/json"
FACES: Final = "/api/v1/recognition/faces"
SEEN: Final = ("decode", "detect", "measure", "embed")
ENROLLED: Final = ("decode", "detect", "embed", "measure", "search", "store")


@dataclass(frozen=True)
class Operation:
    """One that works on photos. path: as its route has it. files: the fields that are photos."""

    path: str
    files: tuple[str, ...]
    stages: tuple[str, ...]
    kind: str = FORM
    params: dict[str, str] = field(default_factory=dict)

    def ask(self, api: Api, photo: bytes = PHOTO, **headers: str) -> httpx.Response:
        """Send it; an `{image_id}` is that of the one template there is."""
        path = self.path
        if "{image_id}" in path:
            listed = api.get(FACES, headers={"x-api-key": "any"}).json()
            path = path.replace("{image_id}", listed["faces"][0]["image_id"])
        sent: dict[str, Any] = {"params": self.params, "headers": {"x-api-key": "any", **headers}}
        if self.kind == FORM:
            sent["files"] = [(name, (f"{name}.png", photo)) for name in self.files]
        else:
            text = base64.b64encode(photo).decode()
            sent["json"] = {n: [text] if n == "images" else text for n in self.files}
        return api.post(path, **sent)


OPERATIONS: Final = (
    Operation("/v1/enroll", ("images",), ENROLLED),
    Operation("/v1/enroll", ("images",), ENROLLED, JSON),
    Operation("/v1/identify", ("image",), ("decode", "detect", "embed", "search")),
    Operation("/v1/identify", ("image",), ("decode", "detect", "embed", "search"), JSON),
    Operation("/v1/identify/batch", ("images",), ("decode", "detect", "embed", "search")),
    Operation("/v1/verify", ("image", "other_image"), ("decode", "detect", "embed", "measure") * 2),
    Operation("/v1/detect", ("image",), SEEN[:3]),
    Operation("/v1/embed", ("image",), SEEN),
    Operation(
        FACES, ("file",), ("decode", "detect", "embed", "measure", "store"), params={"subject": "A"}
    ),
    Operation(f"{FACES}/{{image_id}}/verify", ("file",), (*SEEN, "compare")),
    Operation("/api/v1/recognition/recognize", ("file",), ("decode", "detect", "embed", "search")),
    Operation("/api/v1/verification/verify", ("source_image", "target_image"), SEEN * 2),
    Operation("/api/v1/detection/detect", ("file",), SEEN[:3]),
)
ENROLL: Final = OPERATIONS[0]


def name_of(operation: Operation) -> str:
    return f"{operation.path} {operation.kind}"


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """The spans of the services that are made from now on."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("service.runtime.open_tracing", lambda _: Tracing(provider))
    return exporter


@pytest.fixture
def api(kept: InMemorySpanExporter, make_api: ApiMaker) -> Api:
    """The service with one template."""
    api = make_api()
    assert api.enroll(PHOTO, name="Ada").status_code == 201
    kept.clear()
    return api


def counted(api: Api) -> dict[str, float]:
    """Requests that each stage has been counted for."""
    name = "oneglance_stage_seconds"
    return {
        sample.labels["stage"]: sample.value
        for family in api.runtime.metrics.registry.collect()
        for sample in family.samples
        if family.name == name and sample.name == f"{name}_count"
    }


def told(kept: InMemorySpanExporter) -> tuple[str, ...]:
    """The stages below the last request, in their order."""
    spans = kept.get_finished_spans()
    request = [span for span in spans if span.kind == SpanKind.SERVER][-1]
    stages = [s for s in spans if s.parent and s.parent.span_id == request.context.span_id]
    return tuple(span.name for span in sorted(stages, key=lambda span: span.start_time or 0))


def photo_operations_of_openapi() -> Iterator[tuple[str, str]]:
    """Path and kind of body of each operation that is sent photos and is no job."""
    described = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    for path, methods in described["paths"].items():
        for operation in methods.values():
            if "202" in operation["responses"]:
                continue
            for kind, body in operation.get("requestBody", {}).get("content", {}).items():
                name = body["schema"]["$ref"].rpartition("/")[2]
                schema = json.dumps(described["components"]["schemas"][name])
                if "contentMediaType" in schema or "contentEncoding" in schema:
                    yield path, kind


def photo_operations_of_compreface() -> Iterator[tuple[str, str]]:
    """Those whose functions take the options of whatever looks at photos."""
    for part in (subjects, faces, photos):
        for route in part.router.routes:
            assert isinstance(route, APIRoute)
            if "options" in inspect.signature(route.endpoint).parameters:
                yield route.path, FORM


def test_no_operation_that_works_on_photos_is_forgotten_here() -> None:
    expected = {*photo_operations_of_openapi(), *photo_operations_of_compreface()}
    assert {(one.path, one.kind) for one in OPERATIONS} == expected
    assert len(OPERATIONS) == len(expected)


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_a_request_that_works_on_photos_tells_its_stages(
    operation: Operation, api: Api, kept: InMemorySpanExporter
) -> None:
    before = counted(api)
    answer = operation.ask(api)
    assert answer.is_success, answer.text
    # The crop and the network are two passes through one stage, and one span.
    assert told(kept) == operation.stages
    new = {stage: n - before.get(stage, 0) for stage, n in counted(api).items()}
    assert {stage for stage, n in new.items() if n == 1} == set(operation.stages)
    assert sum(new.values()) == len(set(operation.stages))
    shown = answer.json().get("timing_ms")
    assert shown is None or shown.keys() == set(operation.stages)


def test_verification_of_a_subject_tells_the_comparison(
    api: Api, kept: InMemorySpanExporter
) -> None:
    (subject,) = api.get("/v1/subjects").json()["subjects"]
    fields = {"subject_id": subject["id"]}
    assert api.post("/v1/verify", files={"image": PHOTO}, data=fields).status_code == 200
    assert told(kept) == ("decode", "detect", "embed", "measure", "compare")


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_a_photo_without_a_face_tells_its_stages_refused_or_not(
    operation: Operation, api: Api, kept: InMemorySpanExporter
) -> None:
    before = counted(api)
    answer = operation.ask(api, NO_FACE)
    needs_a_face = operation.path in ("/v1/enroll", "/v1/verify") or operation.path.startswith(
        "/api/"
    )
    assert answer.is_client_error if needs_a_face else answer.is_success
    stages = told(kept)
    assert stages[:2] == ("decode", "detect")
    assert set(stages).isdisjoint({"embed", "search", "compare", "store"})
    assert counted(api)["detect"] == before["detect"] + 1


def test_what_is_no_photo_has_been_decoded(api: Api, kept: InMemorySpanExporter) -> None:
    assert ENROLL.ask(api, b"no photo").status_code == 415
    assert told(kept) == ("decode",)


def test_a_replayed_answer_tells_no_stage_again(api: Api, kept: InMemorySpanExporter) -> None:
    headers = {"idempotency-key": "one"}
    assert ENROLL.ask(api, **headers).status_code == 201
    assert told(kept) == ENROLLED
    before = counted(api)
    again = ENROLL.ask(api, **headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert told(kept) == ()
    assert counted(api) == before


def test_a_request_that_is_cancelled_tells_nothing(api: Api) -> None:
    before = counted(api)
    with suppress(asyncio.CancelledError), api.runtime.timing() as timing:
        timing.stage("decode", 0.0)
        raise asyncio.CancelledError
    assert counted(api) == before


def test_a_photo_of_several_has_a_timing_of_its_own() -> None:
    timing = Timing()
    with timing.of_one_photo() as first, first.during("decode"):
        pass
    with (
        pytest.raises(ValueError, match="no photo"),
        timing.of_one_photo() as other,
        other.during("decode"),
    ):
        raise ValueError("no photo")
    assert timing.passes == [*first.passes, *other.passes]
    assert len(timing.passes) == 2
    both = first.stages_ms["decode"] + other.stages_ms["decode"]
    assert timing.stages_ms == {"decode": pytest.approx(both)}
