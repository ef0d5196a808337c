"""oneglance gallery health: what is probably wrong in a collection, and what to do about it."""

import argparse
import dataclasses
import json
import shlex
from collections.abc import Iterator
from typing import Any

from index.galleries import is_postgres
from index.health.records import HealthReport
from service.commands.gallery.common import add_command, opened, progress, say, settings_of


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
    for line in _in_words(report, _where(args)):
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


def _in_words(report: HealthReport, where: str) -> Iterator[str]:
    yield (
        f"{report.subjects} subjects with {report.templates} templates, "
        f"{report.single_template_subjects} of them with one, at revision {report.revision}"
    )
    if report.too_little is not None:
        yield report.too_little
        return
    yield f"subjects that are probably one: {len(report.duplicates)}"
    for pair in report.duplicates:
        one, other = pair.first, pair.second
        yield (
            f"  {one.subject_id} and {other.subject_id}: similarity {pair.similarity:.3f}, "
            f"{one.nearest} of {one.templates} and {other.nearest} of {other.templates} templates "
            f"have the other nearest; if so: oneglance gallery merge{where} {other.subject_id} "
            f"--into {one.subject_id}"
        )
    yield f"templates that look like another subject: {len(report.mislabelled)}"
    for wrong in report.mislabelled:
        yield (
            f"  {wrong.template_id} of {wrong.subject_id}: like {wrong.looks_like} (similarity "
            f"{wrong.similarity:.3f}) rather than its own others ({wrong.own_similarity:.3f}); if "
            f"so: oneglance gallery delete-template{where} {wrong.template_id}"
        )
    yield f"templates that are like nobody: {len(report.outlying)}"
    for outlying in report.outlying:
        those = " or ".join(outlying.template_ids)
        rather = (
            "one or more is wrong, which cannot be told"
            if len(outlying.template_ids) > 1
            else "a bad photo or somebody else"
        )
        yield (
            f"  {those} of {outlying.subject_id}: similarity {outlying.own_similarity:.3f} to the "
            f"others, {outlying.strangers_nearer:.0%} of strangers are as near; {rather}: "
            f"oneglance gallery delete-template{where} TEMPLATE_ID, and enrol a better photo"
        )
