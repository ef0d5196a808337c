"""oneglance enroll: photos of one subject, or a folder of subjects."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from contract.errors import OneGlanceError
from service.commands.connection import add_command, answer_json
from service.commands.enroll_folder import PHOTOS_PER_REQUEST, enroll_folder
from service.commands.gallery.common import say
from service.commands.photo_files import check_there, requests
from service.options import DuplicateCheck, FacePolicy, PolicyName, StoreImage
from service.schemas import EnrollAnswer

if TYPE_CHECKING:
    from service.client import Client

# What is said of one subject, and so not of a folder of them.
OF_ONE = ("subject_id", "name", "external_id")
OF_ALL = (
    "metadata", "expires_at", "consent_ref", "store_image", "face_policy", "quality",
    "duplicate_check", "collection", "dry_run",
)  # fmt: skip


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(
        commands, "enroll", _run, help="enrol one subject by its photos, or a folder of subjects"
    )
    parser.add_argument("photos", nargs="*", type=Path, metavar="PHOTO", help="of one subject")
    parser.add_argument("--subject-id", metavar="ID", help="of a subject to add to, or to make")
    parser.add_argument("--name", help="for people to read")
    parser.add_argument("--external-id", metavar="ID", help="the subject's id in your own system")
    parser.add_argument("--metadata", type=_metadata, metavar="JSON", help="an object to keep")
    parser.add_argument("--expires-at", metavar="TIME", help="removed from then on; RFC 3339")
    parser.add_argument("--consent-ref", metavar="TEXT", help="your reference to the consent")
    parser.add_argument("--store-image", choices=get_args(StoreImage), help="crop keeps the crop")
    parser.add_argument("--face-policy", choices=get_args(FacePolicy), help="default: single")
    parser.add_argument("--quality", choices=get_args(PolicyName), help="asked of each face")
    parser.add_argument("--duplicate-check", choices=get_args(DuplicateCheck), help="default: warn")
    parser.add_argument(
        "--dry-run",
        action="store_const",
        const=True,
        help="say what would be taken, and store nothing",
    )
    folder = parser.add_argument_group("a folder of subjects")
    folder.add_argument(
        "--folder",
        type=Path,
        metavar="FOLDER",
        help="one sub-folder a subject, called as the subject, whose external id that is, too",
    )
    folder.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="JSON lines, one for each photo; photos that it has already are not sent again, so "
        "that the same command goes on where it was stopped",
    )
    folder.add_argument(
        "--retry-rejected",
        action="store_true",
        help="send photos again that the report says were not taken",
    )


def _metadata(text: str) -> dict[str, Any]:
    try:
        metadata = json.loads(text)
    except ValueError:
        metadata = None
    if not isinstance(metadata, dict):
        raise argparse.ArgumentTypeError('not a JSON object, as in {"team": "blue"}')
    return metadata


def _run(args: argparse.Namespace, client: "Client") -> int:
    given = {name: getattr(args, name) for name in (*OF_ONE, *OF_ALL)}
    if args.folder is None:
        if args.report is not None or args.retry_rejected:
            raise OneGlanceError("--report and --retry-rejected are for --folder: leave them out.")
        if not args.photos:
            raise OneGlanceError("Name photos of one subject, or --folder with many subjects.")
        return _one(args, client, given)
    if args.dry_run and args.report is not None:
        raise OneGlanceError(
            "A dry run enrols nobody, and a report says who is: leave --report or --dry-run out."
        )
    if args.photos:
        raise OneGlanceError("Name photos of one subject or --folder, not both.")
    if any(given[name] is not None for name in OF_ONE):
        raise OneGlanceError(
            "--subject-id, --name and --external-id are of one subject: in a folder each is called "
            "as its sub-folder."
        )
    return enroll_folder(
        client,
        args.folder,
        {name: given[name] for name in OF_ALL},
        report_file=args.report,
        retry_rejected=args.retry_rejected,
        as_json=args.json,
    )


def _one(args: argparse.Namespace, client: "Client", given: dict[str, Any]) -> int:
    check_there(args.photos)
    for photos in requests(args.photos, most=PHOTOS_PER_REQUEST):
        answer = client.enroll(photos, **given)
        if args.json:
            answer_json(answer)
        else:
            _tell(photos, answer)
        # More photos than one request takes are of the same subject, which is told all already.
        given = given | {"subject_id": answer.subject.id}
    return 0


def _tell(photos: list[Path], answer: EnrollAnswer) -> None:
    subject = answer.subject
    names = [name for name in (subject.name, subject.external_id) if name is not None]
    what = "new" if subject.created else "added to"
    if answer.dry_run:
        what += ", dry run: nothing was stored"
    # The id of who would be new is nobody's yet.
    known = "-" if answer.dry_run and subject.created else subject.id
    say("\t".join([known, " / ".join(names), f"{subject.template_count} templates, {what}"]))
    for image in answer.accepted:
        stored = "would be taken" if answer.dry_run else f"template {image.template_id}"
        quality = "" if image.quality is None else f", quality {image.quality.score:.2f}"
        say(f"  {photos[image.index]}: {stored}{quality}")
    for refused in answer.rejected:
        say(f"  {photos[refused.index]}: not taken: {refused.detail}")
    for warning in answer.warnings:
        say(f"  warning: {warning.detail}")
