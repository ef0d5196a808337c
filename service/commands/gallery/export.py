"""oneglance gallery export."""

import argparse
from pathlib import Path
from typing import Any

from service.commands.gallery.common import add_command, opened, progress, say


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "export",
        _run,
        help="write a collection into one file; the same command goes on after an interruption",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="must not be there yet")
    parser.add_argument("--no-crops", action="store_true", help="leave stored pictures out")


def _run(args: argparse.Namespace) -> int:
    from index.portable.exporting import export_collection

    with opened(args) as gallery:
        protected = bool(gallery.shown.of.protection.label)
        bar = progress("export", total=gallery.subject_count, unit="subject")
        with bar:
            for exported in export_collection(gallery, args.file, crops=not args.no_crops):
                bar.update(exported.subjects - bar.n)
    kept = f", {exported.kept} of them in an earlier run" if exported.kept else ""
    say(
        f"{args.file}: {exported.subjects} subjects{kept}, {exported.templates} templates, "
        f"{args.file.stat().st_size} bytes"
    )
    if protected:
        say("Embeddings in it are plain, for any gallery to take them: keep it as you keep photos.")
    return 0
