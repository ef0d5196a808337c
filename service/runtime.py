"""Everything that the routes work with, built once from the settings."""

import logging
from dataclasses import dataclass

import numpy as np
import torch

from contract.bundle import Bundle, load_bundle
from contract.detection.base import FaceDetector
from contract.detection.mtcnn import MtcnnDetector
from contract.detection.whole_image import WholeImage
from contract.images import ImageLimits
from contract.manifest import InputSpec
from index.gallery import Gallery
from service.calibration_renewal import CalibrationRenewal
from service.cropping import cropper_for
from service.embedder import Embedder, TorchScriptEmbedder
from service.expiry_sweep import ExpirySweep
from service.jobs import Jobs
from service.locations import in_words
from service.quality.policy import QualityPolicies
from service.recognizer import Recognizer
from service.settings import Settings
from service.thresholds import Thresholds
from service.workers import Workers

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Runtime:
    """One bundle, one gallery and the threads that work on them."""

    settings: Settings
    bundle: Bundle
    detector: FaceDetector
    embedder: Embedder
    recognizer: Recognizer
    quality_policies: QualityPolicies
    gallery: Gallery
    thresholds: Thresholds
    workers: Workers
    jobs: Jobs
    expiry_sweep: ExpirySweep
    calibration_renewal: CalibrationRenewal

    @property
    def quality_policy_id(self) -> str:
        """What photos were asked for unless a request said otherwise: calibrations rest on it."""
        return self.quality_policies.default.id

    def check(self) -> None:
        """Compute one embedding and read the gallery: raises what a request would."""
        spec = self.bundle.manifest.input
        self.embedder.embed(np.zeros((1, spec.height, spec.width, 3), dtype=np.uint8))
        self.gallery.subjects(limit=1)

    def close(self) -> None:
        """Finish what was accepted, then let the gallery go."""
        self.expiry_sweep.close()
        self.calibration_renewal.close()
        self.jobs.close()
        self.workers.close()
        self.gallery.close()


def build_runtime(
    settings: Settings,
    *,
    detector: FaceDetector | None = None,
    embedder: Embedder | None = None,
) -> Runtime:
    """Load bundle, detector and gallery. Raises OneGlanceError when one must not be used.

    detector, embedder: others than the settings name, for tests and experiments.
    """
    # Requests run side by side in worker threads; a pool of torch threads in each would only
    # make them wait for one another.
    torch.set_num_threads(1)
    bundle = load_bundle(settings.bundle_path)
    # Refused before a network is loaded, or a gallery made.
    cropper_for(bundle.manifest.input)
    if embedder is None:
        embedder = TorchScriptEmbedder(bundle, device=settings.device, precision=settings.precision)
    recognizer = recognizer_for(bundle, embedder, settings, detector=detector)
    gallery = Gallery.open(
        settings.gallery,
        bundle.manifest.contract,
        collection=settings.collection,
        tier=settings.search_tier,
        scoring=settings.subject_score,
    )
    log.info(
        "bundle %s %s, gallery %s, collection %s with %d subjects",
        bundle.manifest.name,
        bundle.manifest.version,
        in_words(settings.gallery),
        gallery.collection_id,
        gallery.subject_count,
    )
    workers = Workers(threads=settings.worker_threads, queue=settings.max_queued_requests)
    jobs = Jobs(queue=settings.max_queued_jobs, history=settings.max_remembered_jobs)
    policies = QualityPolicies(settings)
    return Runtime(
        settings=settings,
        bundle=bundle,
        detector=recognizer.detector,
        embedder=embedder,
        recognizer=recognizer,
        quality_policies=policies,
        gallery=gallery,
        thresholds=Thresholds(
            bundle.manifest,
            gallery,
            quality_policy_id=policies.default.id,
            target_fpir=settings.target_fpir,
        ),
        workers=workers,
        jobs=jobs,
        expiry_sweep=ExpirySweep(gallery, every_s=settings.expiry_sweep_s),
        calibration_renewal=CalibrationRenewal(
            gallery,
            jobs,
            bundle=f"{bundle.manifest.name}@{bundle.manifest.version}",
            quality_policy=policies.default.id,
            every_s=settings.calibration_renewal_check_s,
        ),
    )


def recognizer_for(
    bundle: Bundle,
    embedder: Embedder,
    settings: Settings,
    *,
    detector: FaceDetector | None = None,
) -> Recognizer:
    """What embeds the faces of photos by a bundle; `detector` is another than the settings name."""
    pixels = bundle.manifest.input
    if detector is None:
        detector = _detector(pixels, settings, embedder.device)
    limits = ImageLimits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
    return Recognizer(detector, pixels, embedder, limits)


def _detector(pixels: InputSpec, settings: Settings, device: str) -> FaceDetector:
    """What finds the faces that a bundle of such `pixels` takes; no network without alignment."""
    if pixels.alignment == "none":
        return WholeImage()
    return MtcnnDetector(
        min_face_px=settings.detector_min_face_px,
        max_side_px=settings.detector_max_side_px,
        device=device,
    )
