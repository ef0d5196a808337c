"""oneglance collections rekey: another secret for the same templates, by the running service."""

import argparse
from typing import TYPE_CHECKING, Any

from service.commands.connection import add_command, answer_json
from service.commands.gallery.common import say
from service.commands.rekeying import add_new_ones, rekeyed_in_words
from service.commands.waiting import wait

if TYPE_CHECKING:
    from service.client import Client


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "rekey",
        _run,
        help="let the service turn a collection's templates by another secret rotation, while it "
        "answers as before, and remove the former ones: after its database was stolen, or to "
        "protect what is not yet. The same command, without new ones, goes on after an "
        "interruption",
        collection=False,
    )
    parser.add_argument("collection_id", metavar="NAME")
    add_new_ones(parser)


def _run(args: argparse.Namespace, client: "Client") -> int:
    job = client.rekey(
        args.collection_id, new_secret=args.new_secret, new_row_key=args.new_row_key
    ).job
    result = wait(client, job, what="re-key").result or {}
    if args.json:
        answer_json(result)
    else:
        say(rekeyed_in_words(args.collection_id, **result))
    return 0
