"""oneglance gallery delete."""

import argparse
from typing import Any

from service.commands.gallery.common import add_command, add_yes, confirm, opened, say


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(commands, "delete", _run, help="remove a subject with all its templates")
    parser.add_argument("subject_id", metavar="SUBJECT_ID")
    add_yes(parser)


def _run(args: argparse.Namespace) -> int:
    with opened(args) as gallery:
        subject = gallery.subject(args.subject_id)
        confirm(args, f"Remove {subject.id!r} with {subject.template_count} templates?")
        gallery.remove_subject(subject.id)
    say(f"removed {subject.id}")
    return 0
