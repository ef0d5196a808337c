"""Tables of the report in Markdown, from results alone; what was not run says so."""

from collections.abc import Iterable, Sequence

from training.paper_table.columns import Column
from training.paper_table.plan import SEEDS
from training.paper_table.results import Results
from training.paper_table.rows import BASELINES, CLAIMS, ROWS
from training.paper_table.statistics import difference, mean_of
from training.paper_table.studies import Study

NOT_RUN = "not run"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose first column is words and whose others are figures."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))


def percent(values: Iterable[float]) -> str:
    """Mean ± sd of shares, in percent; how many, where fewer than all seeds."""
    found = mean_of(list(values))
    if found is None:
        return NOT_RUN
    words = f"{100 * found.mean:.2f}"
    if found.sd is not None:
        words += f" ± {100 * found.sd:.2f}"
    return words if found.n >= len(SEEDS) else f"{words} (n = {found.n})"


def protocol_table(results: Results, columns: Sequence[Column], figure: str) -> str:
    """Rows and baselines by column, the paper's figure beside where it has one."""
    heads = ["row"]
    for column in columns:
        heads += [column.title, *(["paper"] if column.paper else [])]
    rows = []
    for variant in (*ROWS, *BASELINES):
        cells = [variant.title]
        for column in columns:
            cells.append(percent(results.figures(column.name, variant.name, figure).values()))
            if column.paper:
                paper = column.paper.get(variant.name)
                cells.append("" if paper is None else f"{100 * paper:.1f}")
        rows.append(cells)
    return table(heads, rows)


def zero_shot_table(results: Results, column: Column) -> str:
    """Rank-1, pairs, and the paper's protocol on the same identities."""
    figures = {"rank1": "rank-1", "auc": "AUC", "eer": "EER", "paper": "protocol `paper`"}
    heads = ["row", *figures.values(), *(["paper"] if column.paper else [])]
    rows = []
    for variant in (*ROWS, *BASELINES):
        found = (results.figures(column.name, variant.name, name).values() for name in figures)
        cells = [variant.title, *map(percent, found)]
        if column.paper:
            paper = column.paper.get(variant.name)
            cells.append("" if paper is None else f"{100 * paper:.1f}")
        rows.append(cells)
    return table(heads, rows)


def bars_table(results: Results, columns: Sequence[Column]) -> str:
    """Every bar and whether the mean holds it."""
    titles = {variant.name: variant.title for variant in ROWS}
    rows = []
    for column in columns:
        for variant, bar in column.bars.items():
            values = list(results.figures(column.name, variant, "held_out").values())
            found = mean_of(values)
            holds = NOT_RUN if found is None else "yes" if found.mean >= bar else "no"
            rows.append(
                [f"{column.title}, {titles[variant]}", f"{100 * bar:.1f}", percent(values), holds]
            )
    return table(["`held-out`", "at least", "measured", "holds"], rows)


def claims_table(results: Results, columns: Sequence[Column]) -> str:
    """Each claim for each column and pairing: the difference, its interval and a verdict."""
    titles = {variant.name: variant.title for variant in ROWS}
    rows = []
    for claim in CLAIMS:
        for column in columns:
            figure = main_figure(column)
            for better, worse in claim.pairs:
                found = difference(
                    results.figures(column.name, better, figure),
                    results.figures(column.name, worse, figure),
                )
                pair = f"{titles[better]} against {titles[worse]}"
                cells = [claim.words, column.title, pair]
                if found is None:
                    rows.append([*cells, NOT_RUN, NOT_RUN])
                    continue
                width = (
                    "one seed" if found.half_width is None else f"± {100 * found.half_width:.2f}"
                )
                rows.append([*cells, f"{100 * found.mean:+.2f} ({width})", found.verdict])
    return table(["claim", "column", "rows", "difference, points", "answer"], rows)


def main_figure(column: Column) -> str:
    """The figure that a column's rows are compared by."""
    return "held_out" if column.protocol == "closed-set" else "rank1"


def study_table(results: Results, study: Study, column: Column) -> str:
    """The base row's value first, then each variant: before training, and after."""
    figure = main_figure(column)
    entries = [(study.base_value, study.base), *((v.title, v.name) for v in study.variants)]
    rows = []
    for title, variant in entries:
        records = results.of(column.name, variant).values()
        first = [r.epochs[0] for r in records if r.epochs and r.epochs[0].epoch == 0]
        before = [epoch.validation for epoch in first if epoch.validation is not None]
        minutes = mean_of([record.core_s / 60 for record in records])
        rows.append(
            [
                f"`{title}`",
                percent(before),
                percent(results.figures(column.name, variant, figure).values()),
                NOT_RUN if minutes is None else f"{minutes.mean:.1f}",
            ]
        )
    name = "`held-out`" if figure == "held_out" else "rank-1"
    heads = ["value", "validation before training", f"{name} after", "core minutes"]
    return table(heads, rows)


def time_table(results: Results, columns: Sequence[Column]) -> str:
    """What a run of a column took."""
    rows = []
    for column in columns:
        records = [r for r in results.done if r.column == column.name]
        core = mean_of([record.core_s / 60 for record in records])
        wall = mean_of([record.wall_s / 60 for record in records])
        rows.append(
            [
                column.title,
                f"`{column.recipe().name}`",
                str(len(records)),
                NOT_RUN if core is None else f"{core.mean:.1f}",
                NOT_RUN if wall is None else f"{wall.mean:.1f}",
            ]
        )
    return table(["column", "recipe", "runs", "core minutes a run", "minutes on the clock"], rows)
