"""oneglance gallery compact."""

import argparse
from typing import Any

from index.upkeep import compact
from service.commands.gallery.common import add_command, opened_all, say


def add(commands: Any) -> None:
    """Declare the command."""
    add_command(
        commands,
        "compact",
        _run,
        help="give back the room of what was removed; writes the database anew, so it takes time "
        "and as much room again",
        collection=False,
    )


def _run(args: argparse.Namespace) -> int:
    with opened_all(args) as galleries:
        before, after = compact(galleries)
    say(f"{before} bytes before, {after} bytes after")
    return 0
