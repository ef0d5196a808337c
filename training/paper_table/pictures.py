"""Which pictures the report shows: rows by column, settings against accuracy, spaces for D = 2."""

from collections.abc import Iterator, Sequence

from training.paper_table.columns import COLUMNS, Column
from training.paper_table.results import Results
from training.paper_table.rows import BASELINES, ROWS
from training.paper_table.studies import Study
from training.paper_table.svg import Dots, Series, dot_plot, line_plot, plane
from training.paper_table.tables import main_figure

Picture = tuple[str, str, str]


def column_pictures(results: Results, columns: Sequence[Column]) -> Iterator[Picture]:
    """(file, title, svg) of each column that has runs: a dot a seed."""
    for column in columns:
        figure = main_figure(column)
        lines = [
            Dots(
                name=variant.title,
                values=tuple(
                    100 * v for v in results.figures(column.name, variant.name, figure).values()
                ),
                reference=100 * column.paper[variant.name]
                if variant.name in column.paper
                else None,
            )
            for variant in (*ROWS, *BASELINES)
        ]
        if any(line.values for line in lines):
            words = "held-out" if figure == "held_out" else "rank-1"
            yield (
                f"{column.name}.svg",
                f"{column.title}: {words} in percent, a dot a seed; hollow: the paper's figure",
                dot_plot(lines, unit=f"{words}, %"),
            )


def study_pictures(results: Results, study: Study) -> Iterator[Picture]:
    """(file, title, svg) of a study that has runs."""
    if study.pictured:
        yield from _planes(results, study)
    elif study.name == "size":
        yield from _sizes(results, study)
    elif study.name == "memory":
        yield from _times(results, study)


def _planes(results: Results, study: Study) -> Iterator[Picture]:
    for variant in study.variants:
        for seed, record in sorted(results.of(study.column, variant.name).items())[:1]:
            radius = max(1.0, *((x**2 + y**2) ** 0.5 for x, y, _ in record.points))
            yield (
                f"{variant.name}.svg",
                f"{variant.title}, D = 2: images of the test split, a colour a class, seed {seed}",
                plane(record.points, radius=radius),
            )


def _sizes(results: Results, study: Study) -> Iterator[Picture]:
    figure = main_figure(COLUMNS[study.column])
    entries = [(study.base_value, study.base), *((v.title, v.name) for v in study.variants)]
    points = sorted(
        (float(size), 100 * value)
        for size, variant in entries
        for value in results.figures(study.column, variant, figure).values()
    )
    if any(results.of(study.column, v.name) for v in study.variants):
        words = "held-out, %" if figure == "held_out" else "rank-1, %"
        series = [Series(name="a seed", points=tuple(points))]
        svg = line_plot(series, x_words="D", y_words=words, logarithmic=True)
        yield "size.svg", "Accuracy by embedding size", svg


def _times(results: Results, study: Study) -> Iterator[Picture]:
    """Validation against core minutes, of the first seed of each."""
    entries = [(study.base_value, study.base), *((v.title, v.name) for v in study.variants)]
    series = []
    for title, variant in entries:
        for _, record in sorted(results.of(study.column, variant).items())[:1]:
            minutes, points = 0.0, []
            for epoch in record.epochs:
                minutes += epoch.core_s / 60
                if epoch.epoch and epoch.validation is not None:
                    points.append((minutes, 100 * epoch.validation))
            series.append(Series(name=f"{title} batches", points=tuple(points), joined=True))
    if len(series) > 1:
        svg = line_plot(series, x_words="core minutes", y_words="validation, %", logarithmic=False)
        yield "memory.svg", "Accuracy against time, by past batches that are mined", svg
