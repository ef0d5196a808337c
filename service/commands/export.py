"""oneglance export: a collection as one file, by an export of the service."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from tqdm.utils import CallbackIOWrapper

from service.commands.connection import add_command, answer_json
from service.commands.gallery.common import progress, say
from service.commands.waiting import wait
from service.commands.whole_file import check_place, whole_file

if TYPE_CHECKING:
    from service.client import Client


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "export",
        _run,
        help="write a collection into one file, which oneglance gallery import reads",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", required=True)
    parser.add_argument("--replace", action="store_true", help="overwrite a file that is there")
    parser.add_argument("--no-crops", action="store_true", help="leave stored pictures out")


def _run(args: argparse.Namespace, client: "Client") -> int:
    check_place(args.out, replace=args.replace)
    begun = client.export(collection=args.collection, crops=not args.no_crops)
    result = wait(client, begun.job, what="export").result or {}
    with (
        whole_file(args.out, replace=args.replace) as file,
        progress("fetch", total=result.get("bytes"), unit="B") as bar,
    ):
        watched = cast(BinaryIO, CallbackIOWrapper(bar.update, file, "write"))
        client.save_export_file(begun.export_id, watched)
    if args.json:
        answer_json({**result, "file": str(args.out)})
    else:
        say(
            f"{args.out}: {result.get('subject_count')} subjects, {result.get('template_count')} "
            f"templates, {args.out.stat().st_size} bytes"
        )
    return 0
