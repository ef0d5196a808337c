"""oneglance gallery merge."""

import argparse
from typing import Any

from service.commands.gallery.common import add_command, add_yes, confirm, opened, say


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(
        commands, "merge", _run, help="give all templates of a subject to another, and remove it"
    )
    parser.add_argument("source_id", metavar="SUBJECT_ID", help="the subject to remove")
    parser.add_argument("--into", metavar="SUBJECT_ID", required=True, help="the one that stays")
    add_yes(parser)


def _run(args: argparse.Namespace) -> int:
    with opened(args) as gallery:
        source, target = gallery.subject(args.source_id), gallery.subject(args.into)
        confirm(
            args,
            f"Give {source.template_count} templates of {source.id!r} to {target.id!r}, and "
            f"remove {source.id!r}?",
        )
        merged = gallery.merge_subjects(source.id, into=target.id)
    say(f"merged {source.id} into {merged.id}: {merged.template_count} templates")
    return 0
