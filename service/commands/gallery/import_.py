"""oneglance gallery import."""

import argparse
import dataclasses
import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from index.writes.restoring import Restored
from service.commands.gallery.common import add_command, opened, private_file, progress, say

_OUTCOMES = ("new", "extended", "unchanged", "conflict", "expired")


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "import",
        _run,
        help="take an export into a collection of the same bundle, made if it is not there; what "
        "is there already is not taken twice, so the same command goes on after an interruption",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="that export wrote")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write what became of each, as JSON lines"
    )


def _run(args: argparse.Namespace) -> int:
    from index.portable.importing import header_of_file, import_file

    contract = header_of_file(args.file).embedding_contract
    outcomes: Counter[str] = Counter()
    templates = 0
    with ExitStack() as stack:
        report: IO[str] | None = None
        if args.report:
            report = stack.enter_context(private_file(args.report, replace=True))
        gallery = stack.enter_context(opened(args, contract))
        bar = stack.enter_context(progress("import", total=args.file.stat().st_size, unit="B"))
        for block in import_file(gallery, args.file):
            for item in block.results:
                outcomes[item.outcome] += 1
                templates += item.templates
                if report:
                    report.write(_line(item))
            bar.update(block.done_bytes - bar.n)
    counts = ", ".join(f"{outcomes[name]} {name}" for name in _OUTCOMES)
    say(f"{args.file}: {counts}; {templates} templates added")
    # Those who are in conflict are not in: a script has to see it.
    return 1 if outcomes["conflict"] else 0


def _line(item: Restored) -> str:
    return json.dumps(dataclasses.asdict(item), ensure_ascii=False) + "\n"
