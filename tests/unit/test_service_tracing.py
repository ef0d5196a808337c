"""Traces: what a collector is sent is the request and its stages, and nobody is in it."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from contract.errors import OneGlanceError
from service import tracing
from service.recognizer import Pass, Timing
from service.tracing import ENDPOINTS, Tracing, open_tracing
from tests.conftest import Api, ApiMaker, face_photo

ENDPOINT = ENDPOINTS[0]
TRACE_ID, CALLERS_SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector(HTTPServer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.paths: list[str] = []
        self.bodies: list[bytes] = []

    def groups(self) -> list[Any]:
        return [
            group
            for body in self.bodies
            for group in ExportTraceServiceRequest.FromString(body).resource_spans
        ]

    def spans(self) -> list[Any]:
        return [
            span for group in self.groups() for scope in group.scope_spans for span in scope.spans
        ]


class _Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.paths.append(self.path)
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not to be read by anybody."""


@pytest.fixture(autouse=True)
def _only_what_a_test_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*ENDPOINTS, "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield server
        server.shutdown()
        thread.join()


def send(api: Api) -> None:
    """Send what has not been sent."""
    api.runtime.tracing.close()


async def started(app: Any) -> None:
    """Start the application as a server does; closing the loop ends it."""
    events: asyncio.Queue[Any] = asyncio.Queue()
    sent: asyncio.Queue[Any] = asyncio.Queue()
    events.put_nowait({"type": "lifespan.startup"})
    app.running = asyncio.create_task(
        app({"type": "lifespan", "asgi": {"version": "3.0"}}, events.get, sent.put)
    )
    assert (await sent.get())["type"] == "lifespan.startup.complete"


def attributes(span: Any) -> dict[str, str]:
    """Of any type, as text."""
    return {
        item.key: str(getattr(item.value, item.value.WhichOneof("value")))
        for item in span.attributes
    }


def service_name(group: Any) -> str:
    return attributes(group.resource)["service.name"]


def test_a_request_is_a_span_and_each_of_its_stages_one_below(
    collector: Collector, make_api: ApiMaker
) -> None:
    api = make_api()
    api.enroll(face_photo(1), name="Ada")
    answer = api.post(
        "/v1/identify",
        files={"image": ("a.png", face_photo(1, 2))},
        headers={"traceparent": f"00-{TRACE_ID}-{CALLERS_SPAN_ID}-01"},
    )
    shown = answer.json()["timing_ms"]
    send(api)
    spans = [span for span in collector.spans() if span.trace_id.hex() == TRACE_ID]
    (request,) = [span for span in spans if span.kind == span.SPAN_KIND_SERVER]
    assert request.name == "POST /v1/identify"
    assert request.parent_span_id.hex() == CALLERS_SPAN_ID
    assert attributes(request)["http.route"] == "/v1/identify"
    assert attributes(request)["http.response.status_code"] == "200"
    stages = sorted(
        (span for span in spans if span is not request), key=lambda s: s.start_time_unix_nano
    )
    assert [span.name for span in stages] == ["decode", "detect", "embed", "search"] == list(shown)
    for span in stages:
        assert span.parent_span_id == request.span_id
        took_ms = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
        assert took_ms >= shown[span.name] - 0.01
    assert set(collector.paths) == {"/v1/traces"}
    assert {service_name(group) for group in collector.groups()} == {"oneglance"}


def test_nobody_is_in_a_trace(
    collector: Collector, make_api: ApiMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = make_api()
    ids = {"external_id": "ada-external", "subject_id": "ada-subject", "collection": "ada-group"}
    api.post("/v1/collections", json={"id": ids["collection"], "bundle": "tiny"})
    assert api.enroll(face_photo(1), name="ada-name", **ids).status_code == 201
    known = api.get("/v1/subjects/ada-subject?collection=ada-group")
    assert known.json()["name"] == "ada-name"
    listed = api.get("/v1/subjects/ada-subject/templates?collection=ada-group").json()
    template_id = listed["templates"][0]["id"]
    api.get(f"/v1/templates/{template_id}?collection=ada-group")
    api.get("/v1/collections/ada-group")
    api.get("/ada-nowhere/ada-subject?of=ada-query", headers={"host": "ada-host"})
    api.request("ADA-METHOD", "/v1/subjects/ada-subject")

    def fail(*_: object) -> None:
        raise RuntimeError("ada-words")

    monkeypatch.setattr(api.detector, "detect", fail)
    assert api.identify(face_photo(1), collection="ada-group").status_code == 500
    send(api)
    sent = b"".join(collector.bodies).lower()
    assert b"ada-" not in sent
    assert template_id.encode() not in sent
    told = {span.name: attributes(span) for span in collector.spans()}
    assert told["GET /v1/subjects/{subject_id}"]["http.route"] == "/v1/subjects/{subject_id}"
    assert "GET /v1/templates/{template_id}" in told
    assert told["GET"]["http.response.status_code"] == "404"
    assert told["POST /v1/identify"]["error.type"] == "RuntimeError"


def test_exporters_of_the_framework_stay_off(
    collector: Collector, make_api: ApiMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    api = make_api()
    api.run(started(api.app))
    api.identify(b"no photo")
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    send(api)
    assert set(collector.paths) == {"/v1/traces"}


def test_stages_have_the_date_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    now = SimpleNamespace(time_ns=lambda: 1_000_000_000_000, perf_counter_ns=lambda: 9_000_000_000)
    monkeypatch.setattr(tracing, "time", now)
    work = Timing(passes=[Pass("a", 2.5, 3.0), Pass("b", 3.0, 4.0), Pass("b", 5.0, 6.0)])
    work.passes.append(Pass("a", 6.0, 9.0))
    Tracing(provider).worked(work)
    assert not kept.get_finished_spans()
    with provider.get_tracer("test").start_as_current_span("request"):
        Tracing(provider).worked(work)
    a, b, again, _ = kept.get_finished_spans()
    assert [(s.name, s.start_time, s.end_time) for s in (a, b, again)] == [
        ("a", 993_500_000_000, 994_000_000_000),
        ("b", 994_000_000_000, 997_000_000_000),
        ("a", 997_000_000_000, 1_000_000_000_000),
    ]


@pytest.mark.parametrize(
    ("variable", "value"),
    [("OTEL_SERVICE_NAME", "door"), ("OTEL_RESOURCE_ATTRIBUTES", "service.name=door")],
)
def test_the_service_is_called_as_the_variables_say(
    variable: str, value: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    opened = open_tracing({ENDPOINT: "http://127.0.0.1"})
    assert opened is not None
    opened.provider.get_tracer("test").start_span("one").end()
    opened.close()
    assert [service_name(group) for group in collector.groups()] == ["door"]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {ENDPOINT: ""},
        {ENDPOINT: "http://127.0.0.1", "OTEL_SDK_DISABLED": "True"},
        {"OTEL_SERVICE_NAME": "door"},
    ],
)
def test_without_an_endpoint_nothing_is_recorded_or_loaded(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "service.span_export", None)
    assert open_tracing(environment) is None


def test_the_service_runs_without_traces(api: Api) -> None:
    assert api.runtime.tracing is None
    assert api.identify(face_photo(1)).status_code == 200


@pytest.mark.parametrize("name", ENDPOINTS)
def test_without_the_extra_it_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "service.span_export", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    words = rf"{name} asks for traces.*pip install 'oneglance\[otel\]'"
    with pytest.raises(OneGlanceError, match=words):
        open_tracing({name: "https://collector:4318"})


def test_what_opentelemetry_refuses_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "999999")
    with pytest.raises(OneGlanceError, match=r"OTEL_….*max_export_batch_size.*Mend it"):
        open_tracing({ENDPOINT: "http://collector:4318"})


def test_an_endpoint_that_is_no_address_is_refused() -> None:
    with pytest.raises(OneGlanceError, match=rf"{ENDPOINT} is 'collector:4318'.*http://collector"):
        open_tracing({ENDPOINT: "collector:4318"})
    with pytest.raises(OneGlanceError, match=rf"{ENDPOINTS[1]} is 'grpc://c'"):
        open_tracing({ENDPOINT: "http://collector:4318", ENDPOINTS[1]: "grpc://c"})
