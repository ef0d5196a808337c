"""How things stand with the service at the moment that Prometheus asks."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from contract.errors import OneGlanceError
from index.clock import now
from service.calibration import stored_calibration

if TYPE_CHECKING:
    from service.runtime import Runtime


class StateMetrics(Collector):
    """Queues, bundles, and the size of each collection, read from the gallery when asked.

    Of a gallery that cannot be read nothing is said but that it cannot: no old numbers.
    """

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime

    def describe(self) -> Iterator[Metric]:
        """Nothing: to be registered takes no reading of the gallery."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        yield from self._queues()
        yield self._bundles()
        up = _gauge("oneglance_gallery_up", "1 if the gallery can be read")
        try:
            found = [*self._collections()]
        except OneGlanceError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from found

    def _queues(self) -> Iterator[Metric]:
        running, waiting = self._runtime.workers.load()
        yield _value("oneglance_workers_running", "Photos worked on now", running)
        yield _value("oneglance_workers_waiting", "Requests that wait for a worker", waiting)
        yield _value("oneglance_workers_threads", "Workers", self._runtime.settings.worker_threads)
        jobs = Counter(job.status for job in self._runtime.jobs.all())
        by_status = _gauge("oneglance_jobs", "Jobs that are remembered", "status")
        for status in ("queued", "running", "succeeded", "failed"):
            by_status.add_metric([status], jobs[status])
        yield by_status

    def _bundles(self) -> Metric:
        served = _gauge(
            "oneglance_bundle_info",
            "1 for each bundle that is served",
            "bundle",
            "runtime",
            "device",
            "precision",
        )
        for bundle in self._runtime.bundles.all:
            by = bundle.embedder
            served.add_metric([bundle.id, by.runtime, by.device, by.precision], 1)
        return served

    def _collections(self) -> Iterator[Metric]:
        label = "collection"
        subjects = _gauge("oneglance_gallery_subjects", "Subjects enrolled", label)
        templates = _gauge("oneglance_gallery_templates", "Templates stored", label)
        revision = _gauge("oneglance_gallery_revision", "Writes so far", label)
        age = _gauge(
            "oneglance_calibration_age_seconds",
            "Since the collection was calibrated on its own templates; absent if it was not",
            label,
        )
        at = datetime.fromisoformat(now())
        for listed in self._runtime.collections.all():
            stored = listed.stored
            subjects.add_metric([stored.id], stored.subject_count)
            templates.add_metric([stored.id], stored.template_count)
            revision.add_metric([stored.id], stored.revision)
            if listed.bundle is None:
                continue
            own = stored_calibration(self._runtime.collections.of(stored.id).gallery)
            if own is not None:
                made_at = datetime.fromisoformat(own.made_at)
                age.add_metric([stored.id], (at - made_at).total_seconds())
        yield from (subjects, templates, revision, age)


def _gauge(name: str, words: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, labels=labels)


def _value(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)
