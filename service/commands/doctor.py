"""oneglance doctor: whether all that a service needs is in order."""

import argparse
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from service.commands.connection import add_service, answer_json
from service.commands.gallery.common import say, settings_of
from service.settings import Settings


def add(commands: Any) -> None:
    """Declare the command."""
    words = "check bundles, gallery, disk and GPU, and the service if one runs"
    parser = commands.add_parser(
        "doctor",
        help=words,
        description=f"{words}. The settings are those of `oneglance serve`, from the environment "
        "or given here. Nothing is changed. Ends with status 1 if a line says fail.",
    )
    add_service(parser)
    parser.add_argument("--gallery", metavar="LOCATION", help="file, or a postgresql:// URL")
    parser.add_argument("--collection", metavar="NAME", help="the service's own collection")
    parser.add_argument("--bundle-path", type=Path, metavar="FOLDER", help="of the bundle to serve")
    parser.add_argument("--further-bundle-paths", metavar="FOLDERS", help="separated by commas")
    parser.add_argument("--device", help="auto, cpu or cuda")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    # torch takes seconds to load: the other commands do without.
    from service.doctor.bundles import check_bundles
    from service.doctor.finding import Finding
    from service.doctor.galleries import check_gallery
    from service.doctor.machine import check_disk, check_gpu
    from service.doctor.running import check_service

    failed = False

    def tell(finding: Finding) -> None:
        nonlocal failed
        failed = failed or finding.level == "fail"
        if args.json:
            answer_json({"check": finding.check, "level": finding.level, "detail": finding.detail})
        else:
            say(f"{finding.level:<4}  {finding.check}: {finding.detail}")

    try:
        settings: Settings = settings_of(args)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            name = ".".join(map(str, item["loc"]))
            tell(Finding("fail", "settings", f"{name}: {item['msg']}"))
        return 1
    bundles, findings = check_bundles(settings)
    for finding in findings:
        tell(finding)
    running, finding = check_service(args)
    for found in check_gallery(settings, bundles, running=running):
        tell(found)
    tell(check_disk(settings))
    tell(check_gpu(settings))
    tell(finding)
    return int(failed)
