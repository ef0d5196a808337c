"""oneglance bundles, and bundles pin."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.commands.connection import add_command, answer_json
from service.commands.gallery.common import say, settings_of

if TYPE_CHECKING:
    from service.client import Client


def add(commands: Any) -> None:
    """Declare the commands."""
    parser = add_command(
        commands, "bundles", _run, help="print the bundles that a service has", collection=False
    )
    words = "let the model of a folder be run that is another than before"
    pin = parser.add_subparsers(metavar="COMMAND").add_parser("pin", help=words, description=words)
    pin.add_argument("folder", type=Path, metavar="FOLDER", help="of the bundle")
    pin.add_argument(
        "--gallery",
        metavar="LOCATION",
        help="of the service, whose pins lie beside it (default: ONEGLANCE_GALLERY, else "
        "data/gallery.sqlite3)",
    )
    pin.add_argument(
        "--bundle-pins-path",
        type=Path,
        metavar="FILE",
        help="of the pins (default: ONEGLANCE_BUNDLE_PINS_PATH, else beside the gallery)",
    )
    pin.set_defaults(run=_pin)


def _pin(args: argparse.Namespace) -> int:
    from contract.bundle import load_bundle
    from service.bundle_pins import pin

    bundle = load_bundle(args.folder)
    file = settings_of(args).bundle_pins_file
    pin(bundle, file)
    say(f"{file}: {bundle.root} sha256 {bundle.sha256}")
    return 0


def _run(args: argparse.Namespace, client: "Client") -> int:
    for bundle in client.list_bundles().bundles:
        if args.json:
            answer_json(bundle)
            continue
        takes = "whole images" if bundle.input == "none" else "faces"
        default = ", default" if bundle.default else ""
        say(f"{bundle.id}\t{takes}, {bundle.license}{default}\tsha256 {bundle.sha256}")
    return 0
