"""oneglance gallery list."""

import argparse
import dataclasses
import json
from typing import Any

from index.records import Subject
from service.commands.gallery.common import add_command, opened, say

_PAGE = 1_000


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(commands, "list", _run, help="print the subjects, oldest first")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _run(args: argparse.Namespace) -> int:
    with opened(args) as gallery:
        after = None
        while True:
            page = gallery.subjects(limit=_PAGE, after=after)
            for subject in page.subjects:
                say(_as_json(subject) if args.json else _as_line(subject))
            after = page.next_after
            if after is None:
                return 0


def _as_json(subject: Subject) -> str:
    return json.dumps(dataclasses.asdict(subject), ensure_ascii=False)


def _as_line(subject: Subject) -> str:
    expiry = f", expires {subject.expires_at}" if subject.expires_at else ""
    names = [name for name in (subject.name, subject.external_id) if name is not None]
    return "\t".join([subject.id, " / ".join(names), f"{subject.template_count} templates{expiry}"])
