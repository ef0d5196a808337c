"""Which runs a table is made of, the most useful first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from training.config import TrainConfig, with_settings
from training.paper_table.columns import COLUMNS, Column
from training.paper_table.rows import BASELINES, COMPOSITE, ROWS, Variant
from training.paper_table.studies import STUDIES, variants_of

SEEDS = (0, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training and its figures. changed: settings of all runs, over the column's recipe."""

    column: Column
    variant: Variant
    seed: int
    changed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As its file is called: column/variant-seed."""
        return f"{self.column.name}/{self.variant.name}-{self.seed}"

    @property
    def settings(self) -> tuple[str, ...]:
        """What it changes of the column's recipe, besides the seed."""
        return (*self.changed, *self.variant.settings)

    @property
    def config(self) -> TrainConfig:
        """All that it trains with. Raises ValueError for a setting that there is not."""
        return with_settings(self.column.recipe(), [*self.settings, f"seed={self.seed}"])


def planned(
    *,
    columns: Sequence[str],
    rows: Sequence[str] = (),
    seeds: Sequence[int] = SEEDS,
    changed: Sequence[str] = (),
) -> list[Run]:
    """The runs of `columns`, each once: the first seed of the paper's rows of every column, then
    of the baselines, then both with the other seeds, then the studies.

    rows: names of rows, baselines or variants of studies; none means all. changed: of `Run`.
    Raises ValueError that names what there is.
    """
    for name in columns:
        if name not in COLUMNS:
            raise ValueError(f"There is no column {name!r}: there are {', '.join(COLUMNS)}.")
    known = {name for column in columns for name in variants_of(column)}
    for name in rows:
        if name not in known:
            raise ValueError(f"There is no row {name!r}: there are {', '.join(sorted(known))}.")
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ValueError("--seeds takes different numbers that are not negative.")
    every = (replace(run, changed=tuple(changed)) for run in _stages(columns, seeds))
    return [run for run in every if not rows or run.variant.name in rows]


def _stages(columns: Sequence[str], seeds: Sequence[int]) -> Iterator[Run]:
    # The bars are of the composite row.
    rows = sorted(ROWS, key=lambda row: row.name != COMPOSITE)
    stages: list[tuple[Sequence[Variant], Sequence[int]]] = [(rows, seeds[:1])]
    stages += [(BASELINES, seeds[:1])]
    stages += [((*rows, *BASELINES), (seed,)) for seed in seeds[1:]]
    for variants, some in stages:
        for column in columns:
            yield from _runs(column, variants, some)
    for seed in seeds:
        for study in STUDIES:
            if study.column in columns:
                yield from _runs(study.column, study.variants, (seed,))


def _runs(column: str, variants: Sequence[Variant], seeds: Sequence[int]) -> Iterator[Run]:
    for seed in seeds:
        for variant in variants:
            yield Run(column=COLUMNS[column], variant=variant, seed=seed)
