"""oneglance gallery subject-access."""

import argparse
import json
from pathlib import Path
from typing import Any

from service.commands.gallery.common import add_command, opened, private_file, say


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "subject-access",
        _run,
        help="write all that is stored about a subject as one JSON document, for the subject",
    )
    parser.add_argument("subject_id", metavar="SUBJECT_ID")
    parser.add_argument("--out", type=Path, metavar="FILE", required=True)


def _run(args: argparse.Namespace) -> int:
    from index.subject_access import subject_access

    with opened(args) as gallery:
        document = subject_access(gallery, args.subject_id)
    with private_file(args.out) as file:
        json.dump(document, file, ensure_ascii=False, indent=2)
        file.write("\n")
    say(f"{args.out}: {len(document['templates'])} templates, {len(document['audit'])} entries")
    return 0
