"""The bars of the table: accuracy of the composite row, and every cell with three seeds."""

from training.paper_table.columns import AT_HAND, COLUMNS
from training.paper_table.plan import SEEDS
from training.paper_table.results import Results
from training.paper_table.rows import BASELINES, ROWS
from training.paper_table.statistics import mean_of


def missed_bars(results: Results) -> list[str]:
    """A sentence for each bar that does not hold."""
    missed = []
    for name in AT_HAND:
        column = COLUMNS[name]
        for row, bar in column.bars.items():
            found = mean_of(list(results.figures(name, row, "held_out").values()))
            if found is None:
                missed.append(f"{name}, {row}: not run, the bar is {bar:.1%}")
            elif found.mean < bar:
                missed.append(f"{name}, {row}: held-out {found.mean:.2%}, the bar is {bar:.1%}")
        empty = [
            variant.name
            for variant in (*ROWS, *BASELINES)
            if len(results.of(name, variant.name)) < len(SEEDS)
        ]
        if empty:
            missed.append(f"{name}: fewer than {len(SEEDS)} seeds of {', '.join(empty)}")
    return missed
