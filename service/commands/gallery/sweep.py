"""oneglance gallery sweep."""

import argparse
from typing import Any

from service.commands.gallery.common import add_command, opened, say


def add(commands: Any) -> None:
    """Declare the command."""
    add_command(commands, "sweep", _run, help="remove who has expired, as the service does")


def _run(args: argparse.Namespace) -> int:
    with opened(args) as gallery:
        gone = gallery.remove_expired()
    for subject_id in gone:
        say(subject_id)
    say(f"removed {len(gone)} expired subjects")
    return 0
