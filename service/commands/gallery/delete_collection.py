"""oneglance gallery delete-collection."""

import argparse
from typing import Any

from contract.errors import CollectionNotFoundError
from service.commands.gallery.common import add_command, add_yes, confirm, opened_all, say


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "delete-collection",
        _run,
        help="remove a collection with all that is in it",
        collection=False,
    )
    parser.add_argument("name", metavar="NAME")
    add_yes(parser)


def _run(args: argparse.Namespace) -> int:
    with opened_all(args) as galleries:
        found = {stored.id: stored for stored in galleries.collections()}
        if args.name not in found:
            raise CollectionNotFoundError(args.name)
        count = found[args.name].subject_count
        confirm(args, f"Remove the collection {args.name!r} with {count} subjects?")
        galleries.remove_collection(args.name)
    say(f"removed the collection {args.name} with {count} subjects")
    return 0
