"""oneglance keys: who may ask a service for what."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from service.access.scopes import SCOPES
from service.commands.connection import add_command as add_online
from service.commands.connection import answer_json
from service.commands.gallery.common import opened_all, say, settings_of

if TYPE_CHECKING:
    from service.access.keyring import Keyring
    from service.client import Client
    from service.key_answer import CreatedKey, KeyOut

Run = Callable[[argparse.Namespace, "Client"], int]
Offline = Callable[[argparse.Namespace, "Keyring"], int]


def add(commands: Any) -> None:
    """Declare the commands."""
    words = "make, list and delete API keys"
    keys = commands.add_parser("keys", help=words, description=words)
    of_keys = keys.add_subparsers(required=True, metavar="COMMAND")
    create = _add(of_keys, "create", _create, _create_offline, help="make a key, and say it once")
    create.add_argument("--name", default="key", help="for people to know it by (default: key)")
    create.add_argument(
        "--scope",
        dest="scopes",
        action="append",
        required=True,
        choices=SCOPES,
        help="what it may do; may be given several times",
    )
    create.add_argument(
        "--collection",
        dest="collections",
        action="append",
        metavar="NAME",
        help="only for this one; may be given several times (default: for all)",
    )
    create.add_argument("--expires-at", metavar="TIME", help="RFC 3339 (default: never)")
    create.add_argument("--key", help="one of your own, such as CompreFace's (default: made)")
    _add(of_keys, "list", _list, _list_offline, help="print the keys, without their secrets")
    delete = _add(of_keys, "delete", _delete, _delete_offline, help="let a key be good no more")
    delete.add_argument("id", metavar="ID", help="as `oneglance keys list` prints it")


def _add(
    commands: Any, name: str, online: Run, offline: Offline, *, help: str
) -> argparse.ArgumentParser:
    """A command that a running service does, or this process if the gallery is named."""
    parser = add_online(commands, name, online, help=help, collection=False)
    parser.add_argument(
        "--gallery",
        metavar="LOCATION",
        help="without a service, on the gallery: its file while no service runs, or a "
        "postgresql:// URL",
    )
    ask = parser.get_default("run")
    parser.set_defaults(
        run=lambda args: ask(args) if args.gallery is None else _offline(offline, args)
    )
    return parser


def _offline(work: Offline, args: argparse.Namespace) -> int:
    from service.access.keyring import Keyring
    from service.access.opening import admin_key_of

    settings = settings_of(args)
    with opened_all(args) as galleries:
        keyring = Keyring(
            galleries,
            admin_key=admin_key_of(settings),
            # Whether a service would be open by the end is known when it starts.
            open_without_keys=True,
            refresh_s=None,
        )
        return work(args, keyring)


def _wanted(args: argparse.Namespace) -> dict[str, Any]:
    given = {"expires_at": args.expires_at, "key": args.key, "collections": args.collections}
    return {name: value for name, value in given.items() if value is not None}


def _create(args: argparse.Namespace, client: "Client") -> int:
    _say_made(args, client.create_key(args.name, args.scopes, **_wanted(args)))
    return 0


def _create_offline(args: argparse.Namespace, keyring: "Keyring") -> int:
    from service.key_answer import CreatedKey, NewKey

    try:
        wanted = NewKey(name=args.name, scopes=args.scopes, **_wanted(args))
    except ValidationError as error:
        # Not all of it: it has the key that was given.
        wrong = error.errors(include_url=False, include_input=False)
        raise ValueError("; ".join(f"{item['loc'][0]}: {item['msg']}" for item in wrong)) from None
    stored, key = keyring.create(wanted.wish())
    _say_made(args, CreatedKey.made(stored, key))
    return 0


def _list(args: argparse.Namespace, client: "Client") -> int:
    for key in client.list_keys().keys:
        _say_key(args, key)
    return 0


def _list_offline(args: argparse.Namespace, keyring: "Keyring") -> int:
    from service.key_answer import KeyOut

    for key in keyring.all():
        _say_key(args, KeyOut.of(key))
    return 0


def _delete(args: argparse.Namespace, client: "Client") -> int:
    client.delete_key(args.id)
    return _say_deleted(args)


def _delete_offline(args: argparse.Namespace, keyring: "Keyring") -> int:
    keyring.delete(args.id)
    return _say_deleted(args)


def _say_made(args: argparse.Namespace, made: "CreatedKey") -> None:
    if args.json:
        answer_json(made)
        return
    # Alone on its line, to be taken into a file or a variable.
    say(made.key)


def _say_key(args: argparse.Namespace, key: "KeyOut") -> None:
    if args.json:
        answer_json(key)
        return
    collections = "all collections" if key.collections is None else ", ".join(key.collections)
    until = f"\tuntil {key.expires_at}" if key.expires_at else ""
    say(f"{key.id}\t{key.name}\t{', '.join(key.scopes)}\t{collections}{until}")


def _say_deleted(args: argparse.Namespace) -> int:
    if args.json:
        answer_json({"deleted": args.id})
    else:
        say(f"deleted {args.id}")
    return 0
