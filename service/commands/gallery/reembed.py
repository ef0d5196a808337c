"""oneglance gallery reembed."""

import argparse
import dataclasses
import json
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from contract.errors import GalleryError
from index.gallery import Gallery
from index.reembedding import Reembedding
from service.commands.gallery.common import (
    add_command,
    add_yes,
    confirm,
    opened,
    private_file,
    progress,
    say,
    settings_of,
)
from service.commands.reembedding_words import (
    comparison_in_words,
    outcomes_in_words,
    state_in_words,
)


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "reembed",
        _run,
        help="embed a collection anew for another bundle, beside what is searched, and compare; "
        "then --switch to it. The same command goes on after an interruption",
    )
    parser.add_argument(
        "--bundle-path", type=Path, metavar="FOLDER", help="the new bundle, to embed by"
    )
    parser.add_argument(
        "--originals",
        type=Path,
        metavar="FOLDER",
        help="embed the photos in here (a folder a subject, named by its id, external id or "
        "name) and not the stored crops",
    )
    parser.add_argument(
        "--face-policy",
        choices=("single", "largest"),
        default="single",
        help="of originals: single refuses several faces, largest takes the largest",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write what became of each, as JSON lines"
    )
    step = parser.add_mutually_exclusive_group()
    step.add_argument("--switch", action="store_true", help="search the new embeddings")
    step.add_argument("--rollback", action="store_true", help="search the former ones again")
    step.add_argument("--drop-former", action="store_true", help="remove the former ones")
    step.add_argument("--abandon", action="store_true", help="remove what was embedded anew")
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="switch though subjects have no new template and will not be found",
    )
    add_yes(parser)


def _run(args: argparse.Namespace) -> int:
    steps = {
        "switch": _switch,
        "rollback": _roll_back,
        "drop_former": _drop_former,
        "abandon": _abandon,
    }
    step = next((run for name, run in steps.items() if getattr(args, name)), _embed)
    if step is _embed and args.bundle_path is None:
        raise GalleryError("Name the new bundle by --bundle-path, or one of the further steps.")
    with opened(args) as gallery:
        return step(args, gallery)


def _embed(args: argparse.Namespace, gallery: Gallery) -> int:
    # torch takes seconds to load, and the other steps do not need it.
    from service.bundle_pins import load_pinned
    from service.embedder_choice import make_embedder
    from service.reembedding import embed_crops, embed_originals, folders_of
    from service.served_bundles import recognizer_for

    settings = settings_of(args)
    bundle = load_pinned(args.bundle_path, settings)
    embedder = make_embedder(bundle, settings)
    with ExitStack() as stack:
        report: IO[str] | None = None
        if args.report:
            report = stack.enter_context(private_file(args.report, replace=True))
        pages: Iterable[Any]
        if args.originals:
            folders = folders_of(args.originals)
            recognizer = recognizer_for(bundle, embedder, settings)
            job = Reembedding.begin(gallery, bundle.manifest.contract)
            pages = embed_originals(
                gallery,
                job,
                recognizer,
                folders,
                face_policy=args.face_policy,
                limits=recognizer.limits,
            )
            bar = progress("re-embed", unit="photo")
        else:
            job = Reembedding.begin(gallery, bundle.manifest.contract)
            pages = embed_crops(job, embedder, bundle.manifest.input)
            bar = progress("re-embed", total=job.progress().missing, unit="template")
        stack.enter_context(bar)
        outcomes: Counter[str] = Counter()
        for items in pages:
            bar.update(len(items))
            outcomes.update(item.outcome for item in items)
            if report:
                report.writelines(
                    json.dumps(dataclasses.asdict(item), ensure_ascii=False) + "\n"
                    for item in items
                )
    say(outcomes_in_words(outcomes))
    _tell(gallery, job)
    return 0


def _tell(gallery: Gallery, job: Reembedding) -> None:
    """Say how far a re-embedding is, and what it would change."""
    from index.comparison import compare

    state = job.progress()
    say(
        state_in_words(
            searched=state.searched,
            staged=state.staged,
            missing=state.missing,
            subjects_without=len(state.subjects_without),
        )
    )
    compared = compare(gallery, job)
    say(
        comparison_in_words(
            searched_rank1=compared.searched.rank1,
            searched_probes=compared.searched.probes,
            staged_rank1=compared.staged.rank1,
            staged_probes=compared.staged.probes,
            subjects=compared.searched.subjects,
        )
    )


def _switch(args: argparse.Namespace, gallery: Gallery) -> int:
    job = _under_way(gallery)
    _tell(gallery, job)
    revision = job.switch(allow_missing=args.allow_missing)
    say(
        f"switched to {job.contract.id} at revision {revision}: serve the new bundle from now on; "
        "--rollback goes back, --drop-former makes it final"
    )
    return 0


def _roll_back(args: argparse.Namespace, gallery: Gallery) -> int:
    from index.reembedding import roll_back

    revision = roll_back(gallery)
    say(f"rolled back to {gallery.contract.id} at revision {revision}: serve the former bundle")
    return 0


def _drop_former(args: argparse.Namespace, gallery: Gallery) -> int:
    from index.reembedding import drop_former

    if gallery.stored().former_contract_number is None:
        raise GalleryError(f"The collection {gallery.collection_id!r} has no former embeddings.")
    confirm(args, f"Remove the former embeddings of {gallery.collection_id!r}?")
    drop_former(gallery)
    say("removed the former embeddings")
    return 0


def _abandon(args: argparse.Namespace, gallery: Gallery) -> int:
    job = _under_way(gallery)
    confirm(args, f"Remove what was embedded anew of {gallery.collection_id!r}?")
    job.abandon()
    say("removed what was embedded anew")
    return 0


def _under_way(gallery: Gallery) -> Reembedding:
    from index.reembedding import job_under_way

    job = job_under_way(gallery)
    if job is None:
        raise GalleryError(
            f"The collection {gallery.collection_id!r} is not being re-embedded: begin by "
            "`oneglance gallery reembed --bundle-path FOLDER`."
        )
    return job
