"""oneglance collections list | create | delete | reembed | rekey."""

import argparse
from typing import TYPE_CHECKING, Any

from service.collection_answer import CollectionOut
from service.commands import reembed, rekey
from service.commands.connection import add_command, answer_json
from service.commands.gallery.common import add_yes, confirm, say

if TYPE_CHECKING:
    from service.client import Client


def add(commands: Any) -> None:
    """Declare the command with its own commands."""
    words = "list, make, remove, re-embed and re-key the collections of a running service"
    own = commands.add_parser("collections", help=words, description=words).add_subparsers(
        required=True, metavar="COMMAND"
    )
    add_command(own, "list", _list, help="print the collections, oldest first", collection=False)
    create = add_command(own, "create", _create, help="make an empty collection", collection=False)
    create.add_argument("collection_id", metavar="NAME")
    create.add_argument(
        "--bundle", help="of a served bundle: name, or name@version (default: the service's own)"
    )
    delete = add_command(
        own, "delete", _delete, help="remove a collection with all in it", collection=False
    )
    delete.add_argument("collection_id", metavar="NAME")
    add_yes(delete)
    reembed.add(own)
    rekey.add(own)


def _list(args: argparse.Namespace, client: "Client") -> int:
    for collection in client.list_collections().collections:
        _tell(args, collection)
    return 0


def _create(args: argparse.Namespace, client: "Client") -> int:
    _tell(args, client.create_collection(args.collection_id, bundle=args.bundle))
    return 0


def _delete(args: argparse.Namespace, client: "Client") -> int:
    there = client.get_collection(args.collection_id)
    confirm(
        args,
        f"Remove the collection {there.id!r} with {there.subject_count} subjects and "
        f"{there.template_count} templates?",
    )
    client.delete_collection(there.id)
    if args.json:
        answer_json({"removed": there.id})
    else:
        say(f"removed {there.id}")
    return 0


def _tell(args: argparse.Namespace, collection: CollectionOut) -> None:
    if args.json:
        answer_json(collection)
        return
    bundle = collection.bundle.id if collection.bundle else "its bundle is not served"
    default = ", default" if collection.default else ""
    say(
        f"{collection.id}\t{collection.subject_count} subjects, {collection.template_count} "
        f"templates\t{bundle}{default}"
    )
