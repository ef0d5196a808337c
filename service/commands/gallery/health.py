"""oneglance gallery health: what is probably wrong in a collection, and what to do about it."""

import argparse
import dataclasses
import json
import shlex
from typing import Any

from index.galleries import is_postgres
from service.commands.gallery.common import add_command, opened, progress, say, settings_of
from service.commands.health_words import health_in_words


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "health",
        _run,
        help="look for subjects enrolled twice, templates under a wrong subject and templates "
        "that are like nobody",
    )
    parser.add_argument("--json", action="store_true", help="the report as one JSON object")
    parser.add_argument(
        "--max-health-report-templates",
        metavar="COUNT",
        help="refuse a larger collection (default: ONEGLANCE_MAX_HEALTH_REPORT_TEMPLATES, else "
        "100000)",
    )


def _run(args: argparse.Namespace) -> int:
    from index.health.report import health_report

    most = settings_of(args).max_health_report_templates
    with opened(args) as gallery, progress("compare", total=100, unit="%") as bar:
        report = health_report(
            gallery,
            max_templates=most,
            progress=lambda done: bar.update(int(100 * done) - bar.n),
        )
    if args.json:
        say(json.dumps(dataclasses.asdict(report)))
        return 0
    where = _where(args)
    for line in health_in_words(
        report,
        merge=f"oneglance gallery merge{where}",
        delete_template=f"oneglance gallery delete-template{where}",
    ):
        say(line)
    return 0


def _where(args: argparse.Namespace) -> str:
    """The options of this command that name the gallery, for the commands that it proposes."""
    words: list[str] = []
    if args.gallery is not None:
        # A URL may hold a password.
        words += ["--gallery", "LOCATION" if is_postgres(args.gallery) else args.gallery]
    if args.collection is not None:
        words += ["--collection", args.collection]
    return "".join(f" {shlex.quote(word)}" for word in words)
