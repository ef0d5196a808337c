"""oneglance verify."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.commands.connection import add_command, answer_json
from service.commands.gallery.common import say
from service.commands.photo_files import check_there

if TYPE_CHECKING:
    from service.client import Client


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(commands, "verify", _run, help="say whether two photos show the same one")
    parser.add_argument("photos", nargs=2, type=Path, metavar="PHOTO")
    parser.add_argument(
        "--target-fmr", type=float, metavar="SHARE", help="of strangers that may be called a match"
    )
    parser.add_argument(
        "--threshold", type=float, metavar="SIMILARITY", help="overrides the computed one"
    )


def _run(args: argparse.Namespace, client: "Client") -> int:
    check_there(args.photos)
    one, other = args.photos
    answer = client.verify(
        one,
        other_image=other,
        target_fmr=args.target_fmr,
        threshold=args.threshold,
        collection=args.collection,
    )
    if args.json:
        answer_json(answer)
        return 0
    value = answer.threshold.value
    reason = f" ({answer.reason})" if answer.reason else ""
    similarity = "none" if answer.similarity is None else f"{answer.similarity:.3f}"
    threshold = "none" if value is None else f"{value:.4f}"
    note = f" ({answer.threshold.note})" if answer.threshold.note else ""
    say(f"{answer.decision}{reason}: similarity {similarity}, threshold {threshold}{note}")
    return 0
