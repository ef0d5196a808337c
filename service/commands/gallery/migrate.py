"""oneglance gallery migrate."""

import argparse
from typing import Any

from index.upkeep import schema_version
from service.commands.gallery.common import add_command, check_there, opened_all, say, settings_of


def add(commands: Any) -> None:
    """Declare the command."""
    add_command(
        commands,
        "migrate",
        _run,
        help="bring the gallery to this release's schema, as any other opening does, and say so",
        collection=False,
    )


def _run(args: argparse.Namespace) -> int:
    location = settings_of(args).gallery
    check_there(location)
    before = schema_version(location)
    with opened_all(args):
        pass
    after = schema_version(location)
    if before == after:
        say(f"schema version {after}: nothing to do")
    elif before is None:
        say(f"an empty gallery was made, schema version {after}")
    else:
        say(f"migrated from schema version {before} to {after}")
    return 0
