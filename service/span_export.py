"""Spans on their way out, of which nobody can be told who was asked for. Needs the extra `otel`."""

from collections.abc import Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

# Not url.path and url.query, which have ids, nor anything else that a caller has worded.
KEPT: Final = frozenset(
    {
        "error.type",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "network.protocol.version",
        "url.scheme",
    }
)


class NamelessExporter(SpanExporter):
    """Hands spans on to `exporter`: of their attributes KEPT alone, no events, no links."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_nameless(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def exporting() -> TracerProvider:
    """A provider whose spans go to the endpoint of OpenTelemetry's variables, in batches."""
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(NamelessExporter(OTLPSpanExporter())))
    return provider


def _resource() -> Resource:
    """What the variables say of the service, and its name where they do not."""
    said = OTELResourceDetector().detect().attributes
    return Resource.create({SERVICE_NAME: said.get(SERVICE_NAME, "oneglance")})


def _nameless(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes={name: value for name, value in (span.attributes or {}).items() if name in KEPT},
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
