"""Records of a plan, sorted into cells. Stale records are counted and never used."""

from collections.abc import Sequence
from dataclasses import dataclass

from training.paper_table.plan import Run
from training.paper_table.record import Record

Cell = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """cells: records by seed of each (column, variant). planned: runs of the plan. stale: names of
    records of another recipe, another code, or no run of the plan.
    """

    cells: dict[Cell, dict[int, Record]]
    planned: int
    stale: tuple[str, ...]

    @property
    def done(self) -> list[Record]:
        """All records that count."""
        return [record for seeds in self.cells.values() for record in seeds.values()]

    def of(self, column: str, variant: str) -> dict[int, Record]:
        """By seed; empty where nothing was run."""
        return self.cells.get((column, variant), {})

    def figures(self, column: str, variant: str, figure: str) -> dict[int, float]:
        """One figure by seed, of the records that have it."""
        found = self.of(column, variant).items()
        return {seed: r.figures[figure] for seed, r in found if figure in r.figures}


def results_of(plan: Sequence[Run], records: Sequence[Record]) -> Results:
    """What `records` say of `plan`."""
    wanted = {(run.column.name, run.variant.name, run.seed): run for run in plan}
    cells: dict[Cell, dict[int, Record]] = {}
    stale = []
    for record in records:
        run = wanted.get((record.column, record.variant, record.seed))
        if run is None or not record.is_of(run.config):
            stale.append(f"{record.column}/{record.variant}-{record.seed}")
            continue
        cells.setdefault((record.column, record.variant), {})[record.seed] = record
    return Results(cells=cells, planned=len(plan), stale=tuple(stale))
