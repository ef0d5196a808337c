"""oneglance-train prepare."""

import argparse
import os
from pathlib import Path

KIND = "layout of the source (default: looked up; folders of images are faces, or images by --side)"
FIT = "how images that are not square become so: black borders, cut off, or distorted"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    from training.data.sources.choose import KINDS

    parser = commands.add_parser(
        "prepare",
        help="pack a source of images",
        description="Pack a folder or zip of images: faces are found and aligned, other images "
        "brought to one size. Stopped work goes on by the same command.",
    )
    parser.add_argument("source", type=Path, help="folder or zip, as one folder an identity")
    parser.add_argument("--out", type=Path, required=True, help="folder of the pack")
    parser.add_argument("--kind", choices=("auto", *KINDS), default="auto", help=KIND)
    parser.add_argument(
        "--aligned", action="store_true", help="the faces are aligned crops of 112x112 already"
    )
    parser.add_argument(
        "--realigned",
        action="store_true",
        help="the faces are such crops; each is found and aligned anew by the service's detector",
    )
    parser.add_argument("--side", type=int, metavar="PX", help="make images squares of this side")
    parser.add_argument("--fit", choices=("pad", "crop", "stretch"), default="pad", help=FIT)
    parser.add_argument(
        "--splits", action="store_true", help="folders train and test are splits, not identities"
    )
    parser.add_argument("--variant", help="which of several sets of idx files, as in balanced")
    parser.add_argument(
        "--most-images",
        type=int,
        metavar="N",
        help="of each identity, drawn by chance (default: all)",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: one for each processor)"
    )
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from training.data.prepare import PrepareConfig, prepare

    config = PrepareConfig(
        kind=args.kind,
        aligned=args.aligned,
        realigned=args.realigned,
        splits=args.splits,
        side_px=args.side,
        fit=args.fit,
        variant=args.variant,
        most_images=args.most_images,
    )
    workers = len(os.sched_getaffinity(0)) if args.workers is None else args.workers
    try:
        prepared = prepare(args.source, args.out, config, workers=workers)
    except KeyboardInterrupt:
        print(f"\n{args.out}: stopped; the same command goes on where it was.")
        return 130
    index = prepared.index
    print(
        f"{args.out}: {len(index.paths)} images of {len(index.identities)} identities; "
        f"{len(index.unused)} could not be used"
    )
    for path, reason in index.unused:
        print(f"  {path}: {reason}")
    for remark in prepared.remarks:
        print(f"note: {remark}")
    return 0
