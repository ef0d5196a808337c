"""oneglance import: many photos at a time, by an import of the service."""

import argparse
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast, get_args

from tqdm.utils import CallbackIOWrapper

from contract.errors import OneGlanceError
from service.commands.connection import ServiceError, add_command, answer_json
from service.commands.folder_zip import folder_zip
from service.commands.gallery.common import progress, say
from service.commands.photo_files import check_there
from service.commands.waiting import wait
from service.commands.whole_file import check_place, whole_file
from service.options import DuplicateCheck, FacePolicy, PolicyName, StoreImage

if TYPE_CHECKING:
    from service.client import Client
    from service.imports.line import ImportLine

KEY_VARIABLE: Final = "ONEGLANCE_COMPREFACE_KEY"
# What an import takes beside its photos.
OPTIONS: Final = ("collection", "store_image", "face_policy", "quality", "duplicate_check")


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "import",
        _run,
        help="enrol the photos of a zip or a folder, each exactly once; the same command goes on "
        "where an earlier one was stopped",
    )
    parser.add_argument(
        "source",
        nargs="?",
        type=Path,
        metavar="ARCHIVE_OR_FOLDER",
        help="one folder inside for each subject, called by its external id",
    )
    parser.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="a table of path, subject_id, name, external_id, metadata: who is on which photo",
    )
    parser.add_argument("--store-image", choices=get_args(StoreImage), help="crop keeps the crop")
    parser.add_argument("--face-policy", choices=get_args(FacePolicy), help="default: single")
    parser.add_argument("--quality", choices=get_args(PolicyName), help="asked of each face")
    parser.add_argument("--duplicate-check", choices=get_args(DuplicateCheck), help="default: warn")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write what became of each photo, JSON lines"
    )
    compreface = parser.add_argument_group("moving over from CompreFace")
    compreface.add_argument(
        "--from-compreface",
        metavar="SOURCE",
        help="URL of a running CompreFace, or a dump of its database",
    )
    compreface.add_argument(
        "--compreface-key",
        metavar="KEY",
        help=f"of the recognition service there (default: {KEY_VARIABLE})",
    )
    compreface.add_argument(
        "--compreface-service",
        metavar="NAME",
        help="name or key of the recognition service, of a dump with several",
    )


def _run(args: argparse.Namespace, client: "Client") -> int:
    if args.report is not None:
        check_place(args.report, replace=True)
    with ExitStack() as stack:
        report = None
        if args.report is not None:
            report = stack.enter_context(whole_file(args.report, replace=True))
        if args.from_compreface is not None:
            _move_over(args, client, report)
        else:
            _import(args, client, report)
    return 0


def _import(args: argparse.Namespace, client: "Client", report: BinaryIO | None) -> None:
    if args.source is None:
        raise OneGlanceError("Name a zip or a folder of photos, or a CompreFace.")
    if args.compreface_key is not None or args.compreface_service is not None:
        raise OneGlanceError(
            "--compreface-key and --compreface-service are for --from-compreface: leave them out."
        )
    if args.csv is not None:
        check_there([args.csv])
    with _archive(args.source) as archive:
        _send(args, client, archive, args.csv, report, what=str(args.source))


def _move_over(args: argparse.Namespace, client: "Client", report: BinaryIO | None) -> None:
    """All photos of a CompreFace, in one import or several."""
    from service.compreface.migration.parts import parts
    from service.compreface.migration.source import open_source

    if args.source is not None or args.csv is not None:
        raise OneGlanceError("Name an archive, perhaps with --csv, or --from-compreface, not both.")
    key = args.compreface_key or os.environ.get(KEY_VARIABLE) or None
    with (
        open_source(args.from_compreface, key=key, service=args.compreface_service) as compreface,
        progress("read", unit="photo") as bar,
    ):

        def note(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        for number, part in enumerate(parts(compreface, note), 1):
            bar.clear()
            with part.archive.open("rb") as archive:
                what = f"{args.from_compreface}, part {number}"
                _send(args, client, archive, part.csv, report, what=what)
        findings = compreface.findings
    if report is not None:
        for line in findings.report_lines():
            report.write((json.dumps(line) + "\n").encode("ascii"))
    if args.json:
        answer_json(findings.as_dict())
        return
    for words in findings.words():
        say(words)


@contextmanager
def _archive(source: Path) -> Iterator[BinaryIO]:
    if source.is_dir():
        with folder_zip(source) as packed:
            yield packed
        return
    check_there([source])
    with source.open("rb") as archive:
        yield archive


def _send(
    args: argparse.Namespace,
    client: "Client",
    archive: BinaryIO,
    csv: Path | None,
    report: BinaryIO | None,
    *,
    what: str,
) -> None:
    """One import: send it, wait for its end, and say what came of it."""
    import httpx

    from service.client import ApiError

    options = {name: getattr(args, name) for name in OPTIONS}
    length = os.fstat(archive.fileno()).st_size
    with progress("send", total=length, unit="B") as bar:
        watched = cast(BinaryIO, CallbackIOWrapper(bar.update, archive, "read"))
        begun = client.import_archive(watched, csv=csv, **options)
    try:
        result = wait(client, begun.job, what="import").result or {}
    except httpx.TransportError as error:
        raise _stopped(f"gives no answer any more ({error})") from error
    except ApiError as error:
        if error.code in ("job_not_found", "job_cancelled"):
            raise _stopped(f"was stopped or started anew ({error.code})") from error
        raise
    with tempfile.TemporaryFile() as lines:
        client.save_import_report(begun.import_id, cast(BinaryIO, lines))
        lines.seek(0)
        _tell(args, result, cast(BinaryIO, lines), report, what=what)


def _stopped(what: str) -> ServiceError:
    return ServiceError(
        f"The service {what} in the midst of the import: see that it runs, then give the same "
        "command again. It goes on after the last photo that was done with."
    )


def _tell(
    args: argparse.Namespace,
    result: dict[str, Any],
    lines: BinaryIO,
    report: BinaryIO | None,
    *,
    what: str,
) -> None:
    from service.imports.line import ImportLine

    warned: Counter[str] = Counter()
    for text in lines:
        if report is not None:
            report.write(text)
        line = ImportLine.model_validate_json(text, extra="ignore")
        warned.update({warning.code for warning in line.warnings})
        if not args.json:
            _tell_line(line)
    if args.json:
        answer_json(result)
        return
    outcomes = Counter(result.get("outcomes", {}))
    before = result.get("done_before_count", 0)
    earlier = f", {before} of them in an earlier run" if before else ""
    say(f"{what}: {result.get('photo_count', 0)} photos{earlier}")
    reasons = ", ".join(f"{name} {count}" for name, count in result.get("reasons", {}).items())
    say(
        f"{outcomes['enrolled']} enrolled, {outcomes['already_enrolled']} enrolled already, "
        f"{outcomes['rejected']} not taken" + (f" ({reasons})" if reasons else "")
    )
    if warned["possible_duplicate"]:
        say(f"{warned['possible_duplicate']} look like other subjects, too")
    if warned["duplicates_not_checked"]:
        say(f"{warned['duplicates_not_checked']} were not compared with other subjects")


def _tell_line(line: "ImportLine") -> None:
    """Say what people must know: of photos that were taken only what is strange."""
    if line.outcome == "rejected":
        say(f"{_shown(line.path)}: not taken ({', '.join(line.reasons)}): {line.detail}")
    for warning in line.warnings:
        # That nobody could be told holds of all photos: the summary says it once.
        if warning.code == "possible_duplicate":
            say(f"{_shown(line.path)}: warning: {warning.detail}")


def _shown(path: str) -> str:
    """As it is, unless it would do something to a terminal or cannot be written."""
    return path if path.isprintable() else ascii(path)
