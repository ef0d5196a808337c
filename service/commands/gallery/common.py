"""What the gallery's commands share: where the gallery is, opening it, asking, saying."""

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from contract.embedding_contract import EmbeddingContract
from contract.errors import GalleryError, OneGlanceError
from index.galleries import Galleries, is_postgres
from index.gallery import Gallery
from service.settings import Settings

Run = Callable[[argparse.Namespace], int]


def add_command(
    commands: Any, name: str, run: Run, *, help: str, collection: bool = True
) -> argparse.ArgumentParser:
    """Declare a command on a gallery, or on one collection of it."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help)
    parser.add_argument(
        "--gallery",
        metavar="LOCATION",
        help="file of the gallery, or a postgresql:// URL (default: ONEGLANCE_GALLERY, else "
        "data/gallery.sqlite3)",
    )
    parser.add_argument(
        "--gallery-secret-file",
        type=Path,
        metavar="FILE",
        help="file of what templates are protected by (default: ONEGLANCE_GALLERY_SECRET_FILE, "
        "else beside the gallery file)",
    )
    parser.add_argument(
        "--row-key-file",
        type=Path,
        metavar="FILE",
        help="file of the key that rows are encrypted with (default: ONEGLANCE_ROW_KEY_FILE, else "
        "not encrypted)",
    )
    if collection:
        parser.add_argument(
            "--collection",
            metavar="NAME",
            help="collection of it (default: ONEGLANCE_COLLECTION, else default)",
        )
    parser.set_defaults(run=run)
    return parser


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Let a command that cannot be undone go without its question."""
    parser.add_argument("--yes", action="store_true", help="do not ask")


def settings_of(args: argparse.Namespace) -> Settings:
    """The service's settings, from the environment and what was given here."""
    given = {
        name: value
        for name, value in vars(args).items()
        if name in Settings.model_fields and value is not None
    }
    return Settings(**given)


def opened(
    args: argparse.Namespace, contract: EmbeddingContract | None = None
) -> AbstractContextManager[Gallery]:
    """The collection that is meant; made if `contract` is given and it is not there."""
    settings = settings_of(args)
    if contract is None:
        check_there(settings.gallery)
    return Gallery.open(
        settings.gallery,
        contract,
        collection=settings.collection,
        tier=settings.search_tier,
        scoring=settings.subject_score,
        secrets=settings.secrets,
        row_keys=settings.row_keys,
    )


def opened_all(args: argparse.Namespace) -> AbstractContextManager[Galleries]:
    """The gallery with all its collections, none of them made ready for searches."""
    settings = settings_of(args)
    check_there(settings.gallery)
    return closing(
        Galleries.open(settings.gallery, secrets=settings.secrets, row_keys=settings.row_keys)
    )


def check_there(location: str) -> None:
    """Raise GalleryError for a file that is not there: a wrong name must not make one."""
    if not is_postgres(location) and not Path(location).exists():
        raise GalleryError(f"There is no gallery {location}: name one by --gallery.")


def confirm(args: argparse.Namespace, question: str) -> None:
    """Ask before what cannot be undone. Raises OneGlanceError: not agreed to, or nobody to ask."""
    if args.yes:
        return
    if not sys.stdin.isatty():
        raise OneGlanceError(f"{question} This cannot be undone: agree by --yes.")
    sys.stderr.write(f"{question} This cannot be undone. Type yes: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != "yes":
        raise OneGlanceError("Nothing was done.")


def say(line: str) -> None:
    """A line of the command's answer."""
    sys.stdout.write(f"{line}\n")


def progress(what: str, *, total: int | None = None, unit: str) -> Any:
    """A progress bar on a terminal's stderr."""
    return tqdm(desc=what, total=total, unit=unit, disable=None, file=sys.stderr)


def private_file(path: Path, *, replace: bool = False) -> IO[str]:
    """A text file for its owner's eyes only. Raises GalleryError if it is there already."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if replace else os.O_EXCL)
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError as error:
        raise GalleryError(
            f"There is a file {path} already: name another one, or remove it."
        ) from error
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "w", encoding="utf-8")
