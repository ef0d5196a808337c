"""oneglance gallery delete-template."""

import argparse
from typing import Any

from service.commands.gallery.common import add_command, add_yes, confirm, opened, say


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(
        commands, "delete-template", _run, help="remove one template; its subject stays"
    )
    parser.add_argument("template_id", metavar="TEMPLATE_ID")
    add_yes(parser)


def _run(args: argparse.Namespace) -> int:
    with opened(args) as gallery:
        confirm(args, f"Remove the template {args.template_id!r}?")
        gallery.remove_template(args.template_id)
    say(f"removed the template {args.template_id}")
    return 0
