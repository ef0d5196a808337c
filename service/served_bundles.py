"""The bundles that are served, each loaded once, with what embeds by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.bundle import Bundle
from contract.detection.base import FaceDetector
from contract.detection.choosing import make_detector
from contract.detection.whole_image import WholeImage
from contract.errors import BundleError, BundleNotFoundError
from contract.images import ImageLimits
from contract.manifest import InputSpec
from service.batching.embedder import BatchingEmbedder
from service.bundle_pins import load_pinned
from service.cropping import cropper_for
from service.embedder import Embedder
from service.embedder_choice import make_embedder
from service.recognizer import Recognizer
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class ServedBundle:
    """A loaded bundle."""

    bundle: Bundle
    embedder: Embedder
    recognizer: Recognizer

    @property
    def id(self) -> str:
        """Name and version, by which requests and answers name it."""
        return f"{self.bundle.manifest.name}@{self.bundle.manifest.version}"

    @property
    def contract_id(self) -> str:
        """What its embeddings are told by."""
        return self.bundle.manifest.contract.id


class ServedBundles:
    """At least one bundle; the first is the default."""

    def __init__(self, served: Sequence[ServedBundle]) -> None:
        """Raises BundleError for two that would be taken for each other."""
        for i, one in enumerate(served):
            for other in served[:i]:
                if one.contract_id == other.contract_id or one.id == other.id:
                    raise BundleError(
                        f"The bundles {other.bundle.root} and {one.bundle.root} are the same to a "
                        "collection: serve one of them."
                    )
        self.all = tuple(served)

    @property
    def default(self) -> ServedBundle:
        """The one that new collections get unless they ask for another."""
        return self.all[0]

    def named(self, bundle_id: str) -> ServedBundle:
        """By its id, or by its name where no other has it. Raises BundleNotFoundError."""
        found = [served for served in self.all if served.id == bundle_id]
        found = found or [s for s in self.all if s.bundle.manifest.name == bundle_id]
        if len(found) != 1:
            raise BundleNotFoundError(bundle_id, [served.id for served in self.all])
        return found[0]

    def of_contract(self, contract_id: str) -> ServedBundle | None:
        """The one that makes such embeddings, if it is served."""
        return next((served for served in self.all if served.contract_id == contract_id), None)


def load_served(
    settings: Settings,
    *,
    detector: FaceDetector | None = None,
    embedder: Embedder | None = None,
) -> ServedBundles:
    """Load the bundles that the settings name. Raises BundleError for one that must not be used.

    detector, embedder: others than the settings name, for tests; the embedder of the first bundle.
    """
    further = [part.strip() for part in settings.further_bundle_paths.split(",")]
    paths = [settings.bundle_path, *(Path(part) for part in further if part)]
    bundles = [load_pinned(path, settings) for path in paths]
    for bundle in bundles:
        # Refused before a network is loaded.
        cropper_for(bundle.manifest.input)
    served: list[ServedBundle] = []
    for bundle in bundles:
        own = embedder if not served else None
        if own is None:
            own = batching_on_a_device(
                make_embedder(bundle, settings), max_batch_faces=settings.max_batch_faces
            )
        faces = bundle.manifest.input.alignment != "none"
        recognizer = recognizer_for(bundle, own, settings, detector=detector if faces else None)
        if faces and detector is None:
            # One network finds the faces for all of them.
            detector = recognizer.detector
        served.append(ServedBundle(bundle, own, recognizer))
    return ServedBundles(served)


def batching_on_a_device(embedder: Embedder, *, max_batch_faces: int) -> Embedder:
    """An embedder for all worker threads: requests share a batch on a device, and none on the CPU.

    There each thread has a core, and a batch only keeps the others waiting: `make bench-batching`.
    """
    if embedder.device == "cpu":
        return embedder
    return BatchingEmbedder(embedder, max_batch_faces=max_batch_faces)


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
    searched_px = None if pixels.alignment == "none" else settings.detector_max_side_px
    return Recognizer(detector, pixels, embedder, limits, searched_px=searched_px)


def _detector(pixels: InputSpec, settings: Settings, device: str) -> FaceDetector:
    """What finds the faces that a bundle of such `pixels` takes; no network without alignment."""
    if pixels.alignment == "none":
        return WholeImage()
    return make_detector(
        settings.detector,
        min_face_px=settings.detector_min_face_px,
        max_side_px=settings.detector_max_side_px,
        device=device,
        yunet_model_path=settings.yunet_model_path,
    )
