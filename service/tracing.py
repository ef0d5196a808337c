"""Traces for OpenTelemetry: a span for each request, below it one for each stage of its work.

They go where OpenTelemetry's own variables say; without those nothing is recorded or loaded.
"""

import time
from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Final

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace

from contract.errors import OneGlanceError
from service.recognizer import Timing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

# The second is the rule where both are there.
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Tracing:
    """The spans of one service."""

    def __init__(self, provider: "TracerProvider") -> None:
        self.provider = provider
        self._tracer = provider.get_tracer("oneglance")

    def worked(self, timing: Timing) -> None:
        """The stages of the present request are through: a child span for each, in their order."""
        if not trace.get_current_span().is_recording():
            return
        # Stages are measured by a clock without a date.
        epoch_ns = time.time_ns() - time.perf_counter_ns()
        for name, passes in groupby(timing.passes, lambda each: each.stage):
            first, *others = passes
            last = others[-1] if others else first
            span = self._tracer.start_span(name, start_time=epoch_ns + round(first.since_s * 1e9))
            span.end(end_time=epoch_ns + round(last.until_s * 1e9))

    def close(self) -> None:
        """Send what has not been sent; where nobody takes it, give up after a while."""
        self.provider.shutdown()


def open_tracing(environment: Mapping[str, str]) -> Tracing | None:
    """What the variables ask for; None where they name no endpoint, or switch it off.

    Raises OneGlanceError where the endpoint is none for HTTP, OpenTelemetry refuses another of its
    variables, or the extra is not installed.
    """
    name, endpoint = next(
        ((name, environment[name]) for name in reversed(ENDPOINTS) if environment.get(name)),
        ("", ""),
    )
    off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if off or not endpoint:
        return None
    if not endpoint.startswith(("http://", "https://")):
        raise OneGlanceError(
            f"{name} is {endpoint!r}: traces go over HTTP, so set it to an address such as "
            "http://collector:4318."
        )
    try:
        from service.span_export import exporting
    except ImportError as error:
        raise OneGlanceError(
            f"{name} asks for traces, which need OpenTelemetry's SDK ({error}): run "
            f"pip install 'oneglance[otel]', or unset {name}."
        ) from error
    try:
        return Tracing(exporting())
    except ValueError as error:
        raise OneGlanceError(
            f"OpenTelemetry refuses one of its variables (OTEL_…): {error} Mend it, or unset it."
        ) from error


def telemetry_of(tracing: Tracing | None) -> TelemetryConfig:
    """What FastAPI records: the spans of requests, for `tracing` alone.

    Other providers and exporters, which FastAPI could find by itself, would be told the ids in
    paths and the words of exceptions.
    """
    return {
        "tracing": tracing is not None,
        "tracer_provider": tracing.provider if tracing else None,
        "operation_spans": False,
        "metrics": False,
        "logs": False,
        "auto_configure": False,
    }
