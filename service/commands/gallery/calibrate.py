"""oneglance gallery calibrate: a collection's error rates, measured on its own templates."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contract.errors import ContractMismatchError, GalleryError
from service.commands.gallery.common import (
    add_command,
    check_there,
    opened,
    progress,
    say,
    settings_of,
)
from service.commands.photo_files import visible_files


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
    from service.bundle_pins import load_pinned
    from service.calibration import NOBODY, embed_strangers, keep, measure
    from service.calibration_answer import CalibrationOut
    from service.commands.calibration_words import calibration_in_words
    from service.embedder_choice import make_embedder
    from service.quality.policy import QualityPolicies
    from service.served_bundles import recognizer_for

    settings = settings_of(args)
    files = visible_files(args.strangers) if args.strangers else []
    if args.strangers and not files:
        raise GalleryError(
            f"{args.strangers} has no files: name a folder with photos of strangers."
        )
    check_there(settings.gallery)
    bundle = load_pinned(settings.bundle_path, settings)
    with opened(args) as gallery:
        if gallery.contract.id != bundle.manifest.contract.id:
            raise ContractMismatchError(
                gallery_contract_id=gallery.contract.id,
                bundle_contract_id=bundle.manifest.contract.id,
            )
        strangers = NOBODY
        if files:
            embedder = make_embedder(bundle, settings)
            strangers = embed_strangers(recognizer_for(bundle, embedder, settings), _read(files))
        record = measure(
            gallery,
            strangers,
            bundle=f"{bundle.manifest.name}@{bundle.manifest.version}",
            quality_policy=QualityPolicies(settings).default.id,
        )
        keep(gallery, record)
    for line in calibration_in_words(CalibrationOut.of(record, None)):
        say(line)
    return 0


def _read(files: list[Path]) -> Iterator[bytes]:
    with progress("strangers", total=len(files), unit="photo") as bar:
        for file in files:
            yield file.read_bytes()
            bar.update()
