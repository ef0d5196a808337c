"""Whether the bundles load and compute."""

from pathlib import Path

import numpy as np

from contract.bundle import Bundle
from contract.errors import OneGlanceError
from service.bundle_pins import load_pinned
from service.cropping import cropper_for
from service.doctor.finding import Finding
from service.embedder_choice import make_embedder
from service.settings import Settings


def check_bundles(settings: Settings) -> tuple[list[Bundle], list[Finding]]:
    """The bundles that can be served, the default first if it can, and what was found."""
    further = [part.strip() for part in settings.further_bundle_paths.split(",")]
    usable: list[Bundle] = []
    findings: list[Finding] = []
    for path in [settings.bundle_path, *(Path(part) for part in further if part)]:
        try:
            bundle = load_pinned(path, settings, pins_new=False)
            findings.append(_computed(bundle, settings))
        except OneGlanceError as error:
            findings.append(Finding.failed("bundle", error))
        else:
            if findings[-1].level != "fail":
                usable.append(bundle)
    return usable, findings


def _computed(bundle: Bundle, settings: Settings) -> Finding:
    """Embed one black crop. Raises OneGlanceError: it cannot be loaded."""
    manifest = bundle.manifest
    name = f"{manifest.name}@{manifest.version}"
    cropper_for(manifest.input)
    embedder = make_embedder(bundle, settings)
    crop = np.zeros((1, manifest.input.height, manifest.input.width, 3), dtype=np.uint8)
    embedding = embedder.embed(crop)
    if embedding.shape != (1, manifest.embedding.size) or not np.isfinite(embedding).all():
        return Finding(
            "fail",
            "bundle",
            f"{name} does not compute {manifest.embedding.size} finite numbers: export it anew.",
        )
    return Finding(
        "ok",
        "bundle",
        f"{name} computes by {embedder.runtime} on {embedder.device} in {embedder.precision}, "
        f"sha256 {bundle.sha256}",
    )
