"""oneglance audit export | check: what was done, and whether nobody has changed the log of it."""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contract.errors import AuditBrokenError
from index.audit_chain import NO_SHA256, AuditHead, check_chain
from index.audit_log import log_head, told_entries
from service.commands.connection import add_command, answer_json
from service.commands.gallery.common import opened_all, say
from service.commands.whole_file import check_place, whole_file

if TYPE_CHECKING:
    from service.client import Client

_PAGE: Final = 1_000

Entry = Mapping[str, Any]


class Log:
    """Entries, oldest first, to be read once. head: what the log says is its newest, once they have
    been read; None of a file, which says nothing of the kind."""

    def __init__(self, entries: Iterator[Entry]) -> None:
        self.entries = entries
        self.head: AuditHead | None = None


Run = Callable[[argparse.Namespace, Log], int]


def add(commands: Any) -> None:
    """Declare the commands."""
    words = "export the audit log, and check that it is one chain"
    own = commands.add_parser("audit", help=words, description=words).add_subparsers(
        required=True, metavar="COMMAND"
    )
    export = _add(
        own, "export", _export, help="write every entry into a file, a JSON object a line"
    )
    export.add_argument("file", type=Path, metavar="FILE")
    export.add_argument("--replace", action="store_true", help="overwrite a file that is there")
    check = _add(own, "check", _check, help="say whether the chain holds, and its head")
    check.add_argument(
        "file", type=Path, metavar="FILE", nargs="?", help="as exported (default: the log itself)"
    )
    check.add_argument(
        "--noted", metavar="SHA256", help="of a head that was noted before: must be in the chain"
    )
    ask = check.get_default("run")
    check.set_defaults(run=lambda args: ask(args) if args.file is None else _check_file(args))


def _add(commands: Any, name: str, run: Run, *, help: str) -> argparse.ArgumentParser:
    """A command on the log of a running service, or of the gallery if that is named."""
    parser = add_command(
        commands, name, lambda args, client: run(args, _asked(client)), help=help, collection=False
    )
    parser.add_argument(
        "--gallery",
        metavar="LOCATION",
        help="without a service, of the gallery: its file while no service runs, or a "
        "postgresql:// URL",
    )
    ask = parser.get_default("run")
    parser.set_defaults(run=lambda args: ask(args) if args.gallery is None else _offline(run, args))
    return parser


def _asked(client: "Client") -> Log:
    def entries() -> Iterator[Entry]:
        cursor = None
        while True:
            page = client.list_audit(limit=_PAGE, cursor=cursor)
            for entry in page.entries:
                yield entry.model_dump(mode="json")
            cursor = page.next_cursor
            if cursor is None:
                # Of the same moment as the last page.
                log.head = AuditHead(place=page.head.place, sha256=page.head.sha256)
                return

    log = Log(entries())
    return log


def _offline(run: Run, args: argparse.Namespace) -> int:
    with opened_all(args) as galleries:
        log = Log(told_entries(galleries))
        # Nobody else writes into a file; in PostgreSQL what comes meanwhile is not read here.
        log.head = log_head(galleries)
        return run(args, log)


def _check_file(args: argparse.Namespace) -> int:
    with args.file.open(encoding="utf-8") as lines:
        return _check(args, Log(_lines(lines)))


def _lines(lines: Iterator[str]) -> Iterator[Entry]:
    for place, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise AuditBrokenError(place, "the line is no JSON") from error
        if not isinstance(entry, dict):
            raise AuditBrokenError(place, "the line is no JSON object")
        yield entry


def _export(args: argparse.Namespace, log: Log) -> int:
    check_place(args.file, replace=args.replace)
    head = AuditHead(place=0, sha256=NO_SHA256)
    with whole_file(args.file, replace=args.replace) as file:
        for entry in log.entries:
            file.write(f"{json.dumps(entry, ensure_ascii=False)}\n".encode())
            head = AuditHead(place=entry["place"], sha256=entry["sha256"])
    _say_head(args, head)
    return 0


def _check(args: argparse.Namespace, log: Log) -> int:
    head = check_chain(log.entries, noted=args.noted)
    if log.head is not None and log.head.place > head.place:
        raise AuditBrokenError(
            head.place + 1, f"{log.head.place} entries were made, and {head.place} are there"
        )
    _say_head(args, head)
    return 0


def _say_head(args: argparse.Namespace, head: AuditHead) -> None:
    if args.json:
        answer_json({"entries": head.place, "sha256": head.sha256})
    else:
        say(f"{head.place} entries, head {head.sha256}")
