"""oneglance gallery: looking after a gallery; one file a command."""

import argparse

from service.commands.gallery import (
    backup,
    calibrate,
    collections,
    compact,
    delete,
    delete_collection,
    delete_template,
    export,
    health,
    import_,
    list_,
    merge,
    migrate,
    reembed,
    rekey,
    subject_access,
    sweep,
    verify,
)

COMMANDS = (
    list_,
    health,
    delete,
    delete_template,
    merge,
    subject_access,
    sweep,
    export,
    import_,
    reembed,
    rekey,
    calibrate,
    verify,
    backup,
    compact,
    migrate,
    collections,
    delete_collection,
)


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command with its own commands."""
    parser = commands.add_parser(
        "gallery",
        help="look after a gallery: list, delete, export, import, back up, re-embed and more",
        description="A gallery in a file is worked on while the service is stopped (backup: also "
        "while it runs), one in PostgreSQL while it runs.",
    )
    own = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(own)
