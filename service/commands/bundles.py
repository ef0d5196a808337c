"""oneglance bundles."""

import argparse
from typing import TYPE_CHECKING, Any

from service.commands.connection import add_command, answer_json
from service.commands.gallery.common import say

if TYPE_CHECKING:
    from service.client import Client


def add(commands: Any) -> None:
    """Declare the command."""
    add_command(
        commands, "bundles", _run, help="print the bundles that a service has", collection=False
    )


def _run(args: argparse.Namespace, client: "Client") -> int:
    for bundle in client.list_bundles().bundles:
        if args.json:
            answer_json(bundle)
            continue
        takes = "whole images" if bundle.input == "none" else "faces"
        default = ", default" if bundle.default else ""
        say(f"{bundle.id}\t{takes}, {bundle.license}{default}\tsha256 {bundle.sha256}")
    return 0
