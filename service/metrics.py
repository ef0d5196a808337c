"""What is measured of the service while it runs, for Prometheus. No metric names a person."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from service.identification import IdentifiedFace
from service.recognizer import Timing

# From a health check to a photo of many people on a busy machine.
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
FACES: Final = (0, 1, 2, 3, 5, 10, 20, 50, 100)


class Metrics:
    """Counters and histograms of one runtime, in a registry of their own. Any thread may count."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._requests = Counter(
            "oneglance_requests",
            "Requests answered; path is the pattern of the route, empty where there is none",
            ["method", "path", "status"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "oneglance_request_seconds",
            "Seconds from a request's first byte to its answer's last",
            ["method", "path"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._stage_seconds = Histogram(
            "oneglance_stage_seconds",
            "Seconds that a stage of one request's photos took, as timing_ms of answers",
            ["stage"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._faces = Histogram(
            "oneglance_faces_per_photo",
            "Faces that were searched for in an identified photo",
            buckets=FACES,
            registry=self.registry,
        )
        self._decisions = Counter(
            "oneglance_decisions",
            "Faces decided over: match, unknown or not_evaluated; their ratio is the match rate",
            ["collection", "decision"],
            registry=self.registry,
        )

    def answered(self, *, method: str, path: str, status: int, seconds: float) -> None:
        """A request has had its answer."""
        self._requests.labels(method=method, path=path, status=status).inc()
        self._request_seconds.labels(method=method, path=path).observe(seconds)

    def worked(self, timing: Timing) -> None:
        """The stages of a request are through."""
        for stage, ms in timing.stages_ms.items():
            self._stage_seconds.labels(stage=stage).observe(ms / 1_000)

    def identified(self, collection_id: str, faces: Iterable[IdentifiedFace]) -> None:
        """The faces of one photo have been decided over."""
        verdicts = [face.decision.verdict for face in faces]
        self._faces.observe(len(verdicts))
        for verdict in verdicts:
            self._decisions.labels(collection=collection_id, decision=verdict).inc()
