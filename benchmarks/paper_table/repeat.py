"""Trains runs of the paper's table once more, from nothing, and compares them with their records.

Bar: no figure of a run moves by more than the standard deviation of its row over the seeds.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev

import torch

from benchmarks.paper_table.packs import pack_of
from training.data.pack import open_pack
from training.paper_table.columns import AT_HAND
from training.paper_table.job import trained_record
from training.paper_table.plan import Run, planned
from training.paper_table.record import Record, read_records
from training.paper_table.results import Results, results_of

RUNS = Path("docs/paper_table/runs")
SHARES = ("held_out", "paper", "rank1", "auc", "eer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """One figure of a run, a share: as recorded, as of now, and its row's deviation over seeds."""

    figure: str
    recorded: float
    now: float
    sd: float

    @property
    def holds(self) -> bool:
        """Whether it moved by no more than its deviation."""
        return abs(self.now - self.recorded) <= self.sd


def run_named(name: str) -> Run:
    """The run `column/row-seed` of the plan. Raises ValueError where there is none."""
    for run in planned(columns=AT_HAND):
        if run.name == name:
            return run
    raise ValueError(f"There is no run {name!r}: name one as in mnist/exp-centre-class-0.")


def seeds_of(run: Run, results: Results) -> dict[int, Record]:
    """The records of `run`'s row, its own among them.

    Raises ValueError where it has none of its present recipe, or its row no second seed.
    """
    records = results.of(run.column.name, run.variant.name)
    if run.seed not in records:
        raise ValueError(f"{run.name} has no record of its present recipe: train it first.")
    if len(records) < 2:
        raise ValueError(f"{run.name}: its row has one seed, which has no deviation.")
    return records


def compared(run: Run, figures: dict[str, float], results: Results) -> list[Repeated]:
    """`figures` of `run` beside the recorded ones. Raises ValueError as `seeds_of`."""
    records = seeds_of(run, results)
    return [
        Repeated(
            figure=figure,
            recorded=records[run.seed].figures[figure],
            now=figures[figure],
            sd=stdev(record.figures[figure] for record in records.values()),
        )
        for figure in SHARES
        if figure in figures
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="COLUMN/ROW-SEED")
    parser.add_argument("--data-root", type=Path, required=True, help="folder of the zips")
    parser.add_argument("--data", type=Path, default=Path("data/table"), help="packs")
    parser.add_argument("--cifar", type=Path, help="CIFAR-10 as JPEG: folder or git directory")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    return parser.parse_args()


def main() -> int:
    """0 where every figure holds."""
    args = _arguments()
    torch.set_num_threads(1)  # as the table's workers
    results = results_of(planned(columns=AT_HAND), read_records(RUNS))
    runs = [run_named(name) for name in args.runs]
    for run in runs:
        seeds_of(run, results)  # what cannot be compared is not trained first
    repeated: list[Repeated] = []
    for run in runs:
        pack = pack_of(run.column.name, args.data, data_root=args.data_root, cifar=args.cifar)
        with tempfile.TemporaryDirectory() as folder:
            record = trained_record(run, open_pack(pack), Path(folder) / "run", device=args.device)
        for one in compared(run, record.figures, results):
            print(
                f"{run.name} {one.figure}: {one.recorded:.2%}, now {one.now:.2%}; "
                f"deviation of its seeds {one.sd:.2%}"
            )
            repeated.append(one)
    moved = sum(not one.holds for one in repeated)
    most = max(abs(one.now - one.recorded) for one in repeated)
    print(f"{len(runs)} runs repeated, {moved} figures moved too far, at most {most:.2%}")
    return 1 if moved else 0


if __name__ == "__main__":
    sys.exit(main())
