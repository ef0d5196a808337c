"""oneglance gallery backup and restore."""

import argparse
import hashlib
from pathlib import Path
from typing import Any

from contract.errors import GalleryError
from index.backup import back_up, restore
from index.galleries import is_postgres
from service.commands.gallery.common import add_command, say, settings_of


def add(commands: Any) -> None:
    """Declare both commands."""
    parser = add_command(
        commands,
        "backup",
        _run_backup,
        help="copy a gallery file, with all its collections, while the service works on it",
        collection=False,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="must not be there yet")
    parser = add_command(
        commands,
        "restore",
        _run_restore,
        help="put a backup in the place of a gallery file, which is set aside",
        collection=False,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="what backup has made")


def _run_backup(args: argparse.Namespace) -> int:
    gallery = _gallery_file(args)
    size = back_up(gallery, args.file)
    with args.file.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    say(f"{args.file}: {size} bytes, SHA-256 {digest}")
    secrets = settings_of(args).secrets
    if secrets.ids():
        say(f"The secrets are not in it: keep a copy of what is in {secrets.place}, elsewhere.")
    return 0


def _run_restore(args: argparse.Namespace) -> int:
    gallery = _gallery_file(args)
    done = restore(args.file, gallery)
    say(
        f"{gallery} is what {args.file} was."
        + (f" The former is in {done.aside}." if done.aside else "")
    )
    if done.returned is None:
        say("The former cannot be read: delete again whoever was deleted since the backup.")
    for collection_id, subject_id in done.returned or ():
        say(f"{subject_id} of {collection_id} is back, who had been removed: delete them again.")
    return 0


def _gallery_file(args: argparse.Namespace) -> Path:
    """Raises GalleryError: it is not in a file."""
    location = settings_of(args).gallery
    if is_postgres(location):
        raise GalleryError(
            "A gallery in PostgreSQL is backed up by PostgreSQL's own means: docs/operations.md "
            "has the commands."
        )
    return Path(location)
