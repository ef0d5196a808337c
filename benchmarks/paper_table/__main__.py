"""The paper's table from the data at hand: trains what is not yet done and writes the report.

`--proof` also holds the bars: exit status 1 where one of them does not hold or was not run.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.paper_table.bars import missed_bars
from benchmarks.paper_table.packs import pack_of
from training.commands.paper_table import add_choice, check_choice, work
from training.paper_table.columns import AT_HAND
from training.paper_table.plan import planned
from training.paper_table.record import read_records
from training.paper_table.report import write_report
from training.paper_table.results import results_of
from training.paper_table.workers import Place

PAGE = Path("docs/paper_table.md")
RUNS = Path("docs/paper_table/runs")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", nargs="+", default=AT_HAND, choices=AT_HAND, metavar="COLUMN")
    add_choice(parser)
    parser.add_argument("--data-root", type=Path, required=True, help="folder of the zips")
    parser.add_argument("--data", type=Path, default=Path("data/table"), help="packs and work")
    parser.add_argument("--cifar", type=Path, help="CIFAR-10 as JPEG: folder or git directory")
    parser.add_argument("--report", action="store_true", help="train nothing, write the report")
    parser.add_argument("--proof", action="store_true", help="train nothing, hold the bars")
    return parser.parse_args()


def main() -> int:
    """0 where nothing failed, and with --proof every bar holds."""
    args = _arguments()
    check_choice(args)
    failed = 0
    if not (args.report or args.proof):
        plan = planned(columns=args.columns, rows=args.rows, seeds=args.seeds)
        packs = {
            name: pack_of(name, args.data, data_root=args.data_root, cifar=args.cifar)
            for name in {run.column.name for run in plan}
        }
        place = Place(packs=packs, runs=RUNS, work=args.data / "work")
        failed = work(args, plan, place)
    everything, records = planned(columns=AT_HAND), read_records(RUNS)
    write_report(PAGE, everything, records)
    results = results_of(everything, records)
    missed = missed_bars(results) if args.proof else []
    for line in missed:
        print(line)
    figure = (
        f"{len(results.done)} of {results.planned} runs done, {len(results.stale)} stale, "
        f"{failed} failed"
    )
    print(f"{figure}, {len(missed)} bars missed" if args.proof else figure)
    return 1 if failed or missed else 0


if __name__ == "__main__":
    sys.exit(main())
