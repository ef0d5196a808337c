"""oneglance-train paper-table."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.paper_table.plan import Run
    from training.paper_table.workers import Place

MINUTES = "begin no further run after so many minutes (default: go to the end)"
SET = "replace a value of the recipe in every run, as in model.width=64; may be given several times"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    from training.paper_table.columns import COLUMNS

    parser = commands.add_parser(
        "paper-table",
        help="train a column of the paper's table: every loss, several seeds, one report",
        description="Train a column of the paper's table and write OUT/paper_table.md. A source "
        "that is no pack is prepared first. Stopped work goes on by the same command, and several "
        "of them share it.",
    )
    parser.add_argument("source", type=Path, help="folder or zip of the data set, or a pack of it")
    parser.add_argument("--column", choices=sorted(COLUMNS), required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of runs and report")
    parser.add_argument(
        "--aligned", action="store_true", help="the faces are aligned crops of 112x112 already"
    )
    add_choice(parser)
    parser.add_argument("--set", dest="settings", action="append", default=[], help=SET)
    parser.set_defaults(run=_run)


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Declare which runs to do and where, for this command and for the table's own."""
    parser.add_argument("--rows", nargs="+", default=[], metavar="ROW", help="default: all")
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED", help="default: 0 1 2"
    )
    parser.add_argument("--minutes", type=float, help=MINUTES)
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="runs at a time, a thread each"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")


def check_choice(args: argparse.Namespace) -> None:
    """Raise ValueError for numbers that make no sense."""
    if args.workers < 1:
        raise ValueError(f"--workers must be at least 1, not {args.workers}.")
    if args.minutes is not None and not args.minutes > 0:
        raise ValueError(f"--minutes must be above 0, not {args.minutes}.")


def work(args: argparse.Namespace, plan: "list[Run]", place: "Place") -> int:
    """Train what of `plan` has no record yet, as those arguments say; how many runs failed."""
    from training.paper_table.workers import work_through

    return work_through(
        plan, place, device=args.device, workers=args.workers, minutes=args.minutes, tell=_tell
    )


def _tell(line: str) -> None:
    """A line for who waits, or for the log of a run in the background."""
    print(line, flush=True)


def _run(args: argparse.Namespace) -> int:
    from training.paper_table.plan import planned
    from training.paper_table.record import read_records
    from training.paper_table.report import write_report
    from training.paper_table.workers import Place

    check_choice(args)
    # Before anything is prepared: what was typed wrongly is said at once.
    plan = planned(columns=[args.column], rows=args.rows, seeds=args.seeds, changed=args.settings)
    for run in plan:
        _ = run.config
    pack = _pack(args)
    place = Place(packs={args.column: pack}, runs=args.out / "runs", work=args.out / "work")
    try:
        failed = work(args, plan, place)
    except KeyboardInterrupt:
        print(f"\n{args.out}: stopped; the same command goes on where it was.")
        return 130
    page = args.out / "paper_table.md"
    everything = planned(columns=[args.column], seeds=args.seeds, changed=args.settings)
    write_report(page, everything, read_records(place.runs))
    print(f"{page}: {failed} of {len(plan)} runs failed" if failed else f"{page}: written")
    return 1 if failed else 0


def _pack(args: argparse.Namespace) -> Path:
    """The pack at `args.source`, or the one that is made of it."""
    from training.data.pack import INDEX_NAME
    from training.data.prepare import PrepareConfig, prepare
    from training.paper_table.columns import COLUMNS

    if (args.source / INDEX_NAME).exists():
        return Path(args.source)
    pack = Path(args.out / "pack")
    config = PrepareConfig(aligned=args.aligned, side_px=COLUMNS[args.column].prepared_side_px)
    prepared = prepare(args.source, pack, config, workers=args.workers)
    index = prepared.index
    print(f"{pack}: {len(index.paths)} images of {len(index.identities)} identities", flush=True)
    return pack
