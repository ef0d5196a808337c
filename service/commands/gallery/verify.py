"""oneglance gallery verify."""

import argparse
from typing import Any

from service.commands.gallery.common import add_command, opened, say


def add(commands: Any) -> None:
    """Declare the command."""
    add_command(
        commands,
        "verify",
        _run,
        help="let the database check itself, and compare counts and search index with it",
    )


def _run(args: argparse.Namespace) -> int:
    with opened(args) as gallery:
        gallery.verify()
        stored = gallery.stored()
    say(
        f"the collection {stored.id} is whole: {stored.subject_count} subjects, "
        f"{stored.template_count} templates, revision {stored.revision}"
    )
    return 0
