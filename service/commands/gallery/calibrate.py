"""oneglance gallery calibrate: a collection's error rates, measured on its own templates."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.errors import ContractMismatchError, GalleryError
from service.commands.gallery.common import add_command, opened, progress, say, settings_of

if TYPE_CHECKING:
    from service.calibration_record import CollectionCalibration


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "calibrate",
        _run,
        help="measure a collection's error rates on its own templates and keep them with it: "
        "thresholds come from there from then on",
    )
    parser.add_argument(
        "--bundle-path", type=Path, metavar="FOLDER", help="the bundle that the collection is for"
    )
    parser.add_argument(
        "--strangers",
        type=Path,
        metavar="FOLDER",
        help="photos of people who are not enrolled, one of each, to support smaller rates",
    )


def _run(args: argparse.Namespace) -> int:
    # torch takes seconds to load, and the other commands do not need it.
    from contract.bundle import load_bundle
    from service.calibration import NOBODY, embed_strangers, keep, measure
    from service.embedder import TorchScriptEmbedder
    from service.quality.policy import QualityPolicies
    from service.served_bundles import recognizer_for

    settings = settings_of(args)
    files = _files(args.strangers) if args.strangers else []
    bundle = load_bundle(settings.bundle_path)
    with opened(args) as gallery:
        if gallery.contract.id != bundle.manifest.contract.id:
            raise ContractMismatchError(
                gallery_contract_id=gallery.contract.id,
                bundle_contract_id=bundle.manifest.contract.id,
            )
        strangers = NOBODY
        if files:
            embedder = TorchScriptEmbedder(
                bundle, device=settings.device, precision=settings.precision
            )
            strangers = embed_strangers(recognizer_for(bundle, embedder, settings), _read(files))
        record = measure(
            gallery,
            strangers,
            bundle=f"{bundle.manifest.name}@{bundle.manifest.version}",
            quality_policy=QualityPolicies(settings).default.id,
        )
        keep(gallery, record)
    _tell(record)
    return 0


def _files(folder: Path) -> list[Path]:
    """What lies in a folder, without what is hidden. Raises GalleryError: nothing does."""
    found = (
        sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
        if folder.is_dir()
        else []
    )
    if not found:
        raise GalleryError(f"{folder} has no files: name a folder with photos of strangers.")
    return found


def _read(files: list[Path]) -> Iterator[bytes]:
    with progress("strangers", total=len(files), unit="photo") as bar:
        for file in files:
            yield file.read_bytes()
            bar.update()


def _tell(record: "CollectionCalibration") -> None:
    """Say what was found, and what was not."""
    seen = record.gallery
    enrolled = seen.nonmated_subjects - record.uploaded_strangers
    say(
        f"{record.gallery_subjects} subjects with {record.gallery_templates} templates; strangers: "
        f"{enrolled} of them and {record.uploaded_strangers} others, "
        f"{record.failures_to_acquire} photos without a usable face"
    )
    for point in seen.points:
        missed = "misses not stated (fewer than 10 subjects have two templates)"
        if point.fnir is not None:
            missed = (
                f"{point.fnir.value:.1%} of the searches for subjects miss "
                f"(95 %: {point.fnir.low95:.1%} to {point.fnir.high95:.1%})"
            )
        say(f"FPIR {point.target_fpir:.1%}: similarity >= {point.threshold:.4f}, {missed}")
    for refused in seen.unsupported:
        say(f"FPIR {refused.target_fpir:.1%}: not supported, {refused.reason}")
