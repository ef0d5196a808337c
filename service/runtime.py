"""Everything that the routes work with, built once from the settings."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch

from contract.detection.base import FaceDetector
from index.galleries import Galleries
from service.access.keyring import Keyring
from service.access.opening import open_keyring
from service.collections import Collections, ServedCollection
from service.embedder import Embedder
from service.ending import Ending, EndingError
from service.exports import Exports
from service.idempotency import Idempotency
from service.imports.reports import Reports
from service.jobs import Jobs
from service.locations import in_words
from service.metrics import Metrics
from service.quality.policy import QualityPolicies
from service.recognizer import Timing
from service.reembedding_comparisons import Comparisons
from service.served_bundles import ServedBundles, load_served
from service.settings import Settings
from service.state_metrics import StateMetrics
from service.tracing import Tracing, open_tracing
from service.workers import Workers

# A busy service is ready: what asks whether it is takes no request's place, and waits for none.
PROBES_WAITING: Final = 4

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Runtime:
    """Bundles, the collections of one database, and the threads that work on them."""

    settings: Settings
    bundles: ServedBundles
    collections: Collections
    galleries: Galleries
    quality_policies: QualityPolicies
    workers: Workers
    probes: Workers
    jobs: Jobs
    idempotency: Idempotency
    exports: Exports
    metrics: Metrics
    comparisons: Comparisons
    reports: Reports
    keyring: Keyring
    tracing: Tracing | None
    ending: Ending = field(default_factory=Ending)

    @property
    def default(self) -> ServedCollection:
        """The settings' collection."""
        return self.collections.default

    @property
    def quality_policy_id(self) -> str:
        """What photos were asked for unless a request said otherwise: calibrations rest on it."""
        return self.quality_policies.default.id

    def check(self) -> None:
        """Compute one embedding and read the gallery: raises what a request would, and EndingError
        once the service was told to end."""
        if self.ending.begun:
            raise EndingError
        bundle = self.default.bundle
        spec = bundle.bundle.manifest.input
        bundle.embedder.embed(np.zeros((1, spec.height, spec.width, 3), dtype=np.uint8))
        self.default.gallery.subjects(limit=1)

    @contextmanager
    def timing(self) -> Iterator[Timing]:
        """For the stages of the present request, which metrics and traces are told in the end."""
        timing = Timing()
        try:
            yield timing
        except Exception:
            # What was refused took its time, too. A request that is cancelled is left out: a worker
            # may still be at it.
            self._worked(timing)
            raise
        self._worked(timing)

    def close(self) -> None:
        """Finish what was accepted, then let the gallery go."""
        self.collections.stop()
        self.jobs.close()
        self.exports.close()
        self.reports.close()
        self.keyring.close()
        self.workers.close()
        self.probes.close()
        self.galleries.close()
        if self.tracing is not None:
            self.tracing.close()

    def _worked(self, timing: Timing) -> None:
        self.metrics.worked(timing)
        if self.tracing is not None:
            self.tracing.worked(timing)


def build_runtime(
    settings: Settings,
    *,
    detector: FaceDetector | None = None,
    embedder: Embedder | None = None,
) -> Runtime:
    """Load bundles, detector and gallery. Raises OneGlanceError when one must not be used.

    detector, embedder: others than the settings name, for tests and experiments.
    """
    # Requests run side by side in worker threads; a pool of torch threads in each would only
    # make them wait for one another.
    torch.set_num_threads(1)
    tracing = open_tracing(os.environ)
    bundles = load_served(settings, detector=detector, embedder=embedder)
    log.info(
        "bundles %s, gallery %s",
        ", ".join(served.id for served in bundles.all),
        in_words(settings.gallery),
    )
    policies = QualityPolicies(settings)
    galleries = Galleries.open(
        settings.gallery,
        tier=settings.search_tier,
        scoring=settings.subject_score,
        secrets=settings.secrets,
        row_keys=settings.row_keys,
    )
    try:
        keyring = open_keyring(galleries, settings)
    except BaseException:
        galleries.close()
        raise
    jobs = Jobs(queue=settings.max_queued_jobs, history=settings.max_remembered_jobs)
    try:
        collections = Collections(
            galleries, bundles, jobs, settings, quality_policy_id=policies.default.id
        )
    except BaseException:
        jobs.close()
        keyring.close()
        galleries.close()
        raise
    runtime = Runtime(
        settings=settings,
        bundles=bundles,
        collections=collections,
        galleries=galleries,
        quality_policies=policies,
        workers=Workers(
            threads=settings.worker_threads,
            queue=settings.queued_requests,
            queue_in_overload=settings.queued_requests_in_overload,
            deadline_s=settings.request_deadline_s,
        ),
        probes=Workers(
            threads=1,
            queue=PROBES_WAITING,
            queue_in_overload=PROBES_WAITING,
            deadline_s=settings.request_deadline_s,
        ),
        jobs=jobs,
        idempotency=Idempotency(
            keep_s=settings.idempotency_keep_s, most=settings.max_idempotency_keys
        ),
        comparisons=Comparisons(),
        exports=Exports(settings.exports_folder, keep_s=settings.export_keep_hours * 3600),
        reports=Reports(settings.imports_folder, keep_s=settings.import_report_keep_hours * 3600),
        metrics=Metrics(),
        keyring=keyring,
        tracing=tracing,
    )
    runtime.metrics.registry.register(StateMetrics(runtime))
    return runtime
