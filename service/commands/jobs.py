"""oneglance calibrate, oneglance health: long work of the service, waited for."""

import argparse
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.errors import OneGlanceError
from service.commands.connection import add_command, answer_json
from service.commands.gallery.common import say
from service.commands.photo_files import visible_files
from service.commands.waiting import wait

if TYPE_CHECKING:
    from service.client import Client


def add(commands: Any) -> None:
    """Declare the commands."""
    parser = add_command(
        commands,
        "calibrate",
        _calibrate,
        help="let the service measure a collection's error rates on its own templates: thresholds "
        "come from there from then on",
    )
    parser.add_argument(
        "--strangers",
        type=Path,
        metavar="FOLDER",
        help="photos of people who are not enrolled, one of each, to support smaller rates",
    )
    add_command(
        commands,
        "health",
        _health,
        help="let the service look for subjects enrolled twice, templates under a wrong subject "
        "and templates that are like nobody",
    )


def _calibrate(args: argparse.Namespace, client: "Client") -> int:
    from service.calibration_answer import CalibrationOut
    from service.commands.calibration_words import calibration_in_words

    strangers = visible_files(args.strangers) if args.strangers else []
    if args.strangers and not strangers:
        raise OneGlanceError(f"{args.strangers} has no files: name a folder with photos.")
    job = client.calibrate(_collection(args, client), strangers=strangers).job
    result = wait(client, job, what="calibrate").result
    if args.json:
        answer_json(result or {})
        return 0
    # From JSON to JSON: what a newer service says besides is left out.
    made = CalibrationOut.model_validate_json(json.dumps(result), extra="ignore")
    for line in calibration_in_words(made):
        say(line)
    return 0


def _health(args: argparse.Namespace, client: "Client") -> int:
    from pydantic import TypeAdapter

    from index.health.records import HealthReport
    from service.commands.health_words import health_in_words

    job = client.report_health(_collection(args, client)).job
    result = wait(client, job, what="compare").result
    if args.json:
        answer_json(result or {})
        return 0
    report = TypeAdapter(HealthReport).validate_json(json.dumps(result), extra="ignore")
    where = _where(args)
    for line in health_in_words(
        report,
        merge=f"oneglance subjects merge{where}",
        delete_template=f"oneglance subjects delete-template{where}",
    ):
        say(line)
    return 0


def _collection(args: argparse.Namespace, client: "Client") -> str:
    """The id of the collection that is meant."""
    if args.collection is not None:
        return str(args.collection)
    return next(c.id for c in client.list_collections().collections if c.default)


def _where(args: argparse.Namespace) -> str:
    """The options of this command that name the collection, for the commands it proposes."""
    words = ["--url", args.url] if args.url else []
    words += ["--collection", args.collection] if args.collection else []
    return "".join(f" {shlex.quote(word)}" for word in words)
