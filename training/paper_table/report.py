"""docs/paper_table.md: every figure of it comes from the records of the runs alone.

Where this differs from the paper's table is named beside each figure: the protocol, and the data.
"""

from collections.abc import Sequence
from pathlib import Path

from training.paper_table.columns import COLUMNS, Column
from training.paper_table.pictures import column_pictures, study_pictures
from training.paper_table.plan import Run
from training.paper_table.record import Record
from training.paper_table.results import Results, results_of
from training.paper_table.rows import ROWS
from training.paper_table.statistics import mean_of
from training.paper_table.studies import STUDIES
from training.paper_table.tables import (
    bars_table,
    claims_table,
    protocol_table,
    study_table,
    time_table,
    zero_shot_table,
)

# A mean further than this below the paper's figure counts as not reproduced: shares.
REPRODUCED_WITHIN = 0.01
Files = dict[str, str]


def report(plan: Sequence[Run], records: Sequence[Record], *, pictures: str) -> tuple[str, Files]:
    """The page, and its pictures by name. pictures: folder of these as seen from the page."""
    results = results_of(plan, records)
    columns = [c for c in COLUMNS.values() if any(run.column is c for run in plan)]
    files: Files = {}
    parts = [
        "# The paper's table\n",
        _head(results),
        *_protocols(results, columns, files, pictures),
        *_questions(results, columns),
        *_studies(results, columns, files, pictures),
        "## Time\n",
        time_table(results, columns),
        "",
        _machines(results),
        "## What does not reproduce\n",
        _not_reproduced(results, columns),
    ]
    return "\n".join(parts).rstrip("\n") + "\n", files


def write_report(page: Path, plan: Sequence[Run], records: Sequence[Record]) -> None:
    """Write the page, and its pictures into a folder beside it that is called as the page is."""
    folder = page.with_suffix("")
    text, files = report(plan, records, pictures=folder.name)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for name, svg in files.items():
        (folder / name).write_text(svg, encoding="utf-8")
    page.write_text(text, encoding="utf-8")


def _head(results: Results) -> str:
    lines = [
        "Urtans, Nikitenko, Vecins, Exponential triplet loss, ICCDA 2020: its eight rows, four",
        "modern losses and studies of single settings. One encoder and one budget for all rows of",
        "a column, trained from nothing unless a remark says otherwise; mean ± standard deviation",
        "over seeds, in percent. The paper's figures are of DenseNet-161 with ImageNet weights,",
        "100 epochs, protocol `paper`.",
        "",
        f"{len(results.done)} of {results.planned} runs are done"
        + (f"; {len(results.stale)} of another recipe are left out." if results.stale else "."),
        "Written by a program from a JSON file a run: do not edit it.\n",
    ]
    return "\n".join(lines)


def _protocols(
    results: Results, columns: Sequence[Column], files: Files, pictures: str
) -> list[str]:
    closed = [column for column in columns if column.protocol == "closed-set"]
    parts: list[str] = []
    if closed:
        parts += [
            "## Protocol `held-out`\n",
            "Nearest class centre; the centres are of images trained on, the probes are the test "
            "split.\n",
            protocol_table(results, closed, "held_out"),
            "\n## Protocol `paper`\n",
            "Centres of the probes themselves, as in the paper's own code: for comparison only.\n",
            protocol_table(results, closed, "paper"),
            "",
        ]
    for column in columns:
        if column.protocol == "zero-shot":
            parts += [f"## Protocol `zero-shot`: {column.title}\n", _galleries(results, column)]
            parts += [zero_shot_table(results, column), ""]
    parts += [f"{column.title}: {column.remark}\n" for column in columns if column.remark]
    for name, title, svg in column_pictures(results, columns):
        files[name] = svg
        parts.append(f"![{title}]({pictures}/{name})\n")
    return parts


def _galleries(results: Results, column: Column) -> str:
    sizes = {int(r.figures["gallery"]) for r in results.done if r.column == column.name}
    words = " and ".join(str(size) for size in sorted(sizes)) or "N"
    return (
        f"Identities never trained on. Rank-1 in galleries of {words} subjects, one image each "
        "enrolled; AUC and equal error rate of pairs.\n"
    )


def _questions(results: Results, columns: Sequence[Column]) -> list[str]:
    parts = []
    if any(column.bars for column in columns):
        parts += ["## Bars\n", bars_table(results, columns), ""]
    return [
        *parts,
        "## Does L_exp beat L_std, and do the other terms help?\n",
        "By `held-out` (zero-shot: by rank-1). Differences are paired by seed, with Student's 95 % "
        "interval of their mean; an interval that holds zero decides nothing.\n",
        claims_table(results, columns),
        "",
    ]


def _studies(results: Results, columns: Sequence[Column], files: Files, pictures: str) -> list[str]:
    names = {column.name for column in columns}
    titles = {row.name: row.title for row in ROWS}
    parts = ["## Studies\n"]
    for study in STUDIES:
        if study.column not in names:
            continue
        column = COLUMNS[study.column]
        parts += [
            f"### {study.title}\n",
            f"{column.title}, {titles[study.base]}; the first line is the table's own row.\n",
            study_table(results, study, column),
            "",
        ]
        for name, title, svg in study_pictures(results, study):
            files[name] = svg
            parts.append(f"![{title}]({pictures}/{name})\n")
    return parts if len(parts) > 1 else []


def _machines(results: Results) -> str:
    machines = sorted(
        {f"{m.processor}, {m.device}, {m.threads} thread(s), torch {m.torch}"
         for m in (record.machine for record in results.done)}
    )  # fmt: skip
    return "".join(f"- {machine}\n" for machine in machines) or "Nothing was run.\n"


def _not_reproduced(results: Results, columns: Sequence[Column]) -> str:
    lines = []
    for column in columns:
        for row in ROWS:
            found = mean_of(list(results.figures(column.name, row.name, "paper").values()))
            paper = column.paper.get(row.name)
            if found is None or paper is None or found.mean >= paper - REPRODUCED_WITHIN:
                continue
            lines.append(
                f"- {column.title}, {row.title}: {100 * found.mean:.2f} by protocol `paper`, where "
                f"the paper has {100 * paper:.1f}."
            )
    if not lines:
        return "Of the rows that were run, none is more than a point below the paper's figure."
    reason = (
        "\nThe encoder is far smaller than the paper's, starts from nothing and sees the images "
        "for a few epochs (above); nothing here tells how much of a gap is due to which of these."
    )
    return "\n".join([*lines, reason])
