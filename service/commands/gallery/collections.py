"""oneglance gallery collections."""

import argparse
import json
from typing import Any

from service.commands.gallery.common import add_command, opened_all, say


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(
        commands, "collections", _run, help="print the collections", collection=False
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _run(args: argparse.Namespace) -> int:
    with opened_all(args) as galleries:
        for stored in galleries.collections():
            contract = galleries.contract_of(stored)
            values = {
                "id": stored.id,
                "contract_id": contract.id,
                "embedding_size": contract.size,
                "subject_count": stored.subject_count,
                "template_count": stored.template_count,
                "gallery_revision": stored.revision,
                "created_at": stored.created_at,
                "reembedding": stored.next_contract_number is not None,
                "can_roll_back": stored.former_contract_number is not None,
            }
            if args.json:
                say(json.dumps(values))
            else:
                say(
                    f"{stored.id}\t{stored.subject_count} subjects\t{stored.template_count} "
                    f"templates of {contract.size} numbers\t{contract.id}"
                )
    return 0
