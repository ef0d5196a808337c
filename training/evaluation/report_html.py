"""One HTML page with every figure of a report: nothing fetched, no script, light and dark.

Each number of a table stands in a <data> element that holds it unrounded.
"""

import html
from collections.abc import Sequence

from contract.calibration.records import Calibration, GalleryCalibration
from contract.manifest import Manifest, Metric
from training.evaluation.figures import (
    Drawing,
    cmc_figure,
    det_figure,
    pairs_figure,
    roc_figure,
    searches_figure,
    space_figure,
)
from training.evaluation.metrics import metrics_of, shown
from training.evaluation.results import Report

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1f; --page: #ffffff; --line: #c9c9d0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8ec; --page: #17171b; --line: #47474f; }
}
body { color: var(--ink); background: var(--page); max-width: 62rem; margin: 2rem auto;
       padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; }
table { border-collapse: collapse; width: 100%; margin: 0 0 1.5rem; }
caption { text-align: left; font-weight: 600; padding: .5rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem .35rem 0;
         text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums;
                       white-space: nowrap; }
.wide { overflow-x: auto; }
figure { margin: 0 0 2rem; }
figure svg { width: 100%; max-width: 46rem; height: auto; display: block; }
figcaption { max-width: 46rem; }
p code { overflow-wrap: anywhere; }
table code { white-space: nowrap; }
"""


def report_page(report: Report, manifest: Manifest, command: str) -> str:
    """The whole page. manifest: of the evaluated bundle; command: which gives the figures again."""
    title = f"Evaluation of {manifest.name} {manifest.version}"
    metrics = metrics_of(report, command)
    calibration = report.open_set.calibration if report.open_set else None
    parts = [
        f"<h1>{_text(title)}</h1>",
        f"<p>{_text(manifest.description)}</p>",
        f"<p>Model {_text(manifest.files[manifest.model.file][:16])}…, {manifest.embedding.size} "
        f"numbers in {_text(manifest.embedding.space)}. Made by <code>{_text(command)}</code>.</p>",
        "<h2>Figures</h2>",
        _metrics_table(metrics),
        _default_threshold(report),
        _unanswered(report.unanswered),
        *([_open_set_table(calibration)] if calibration else []),
        "<h2>Pictures</h2>",
        *(_figure(drawing) for drawing in drawings(report)),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def drawings(report: Report) -> list[Drawing]:
    """Every picture that the report has the figures for."""
    named = [
        ("LFW", report.lfw.curve, report.lfw.equal_error) if report.lfw else None,
        *(
            (name, pairs.curve, pairs.equal_error) if pairs else None
            for name, pairs in (
                ("protocol zero-shot", report.zero_shot_pairs),
                ("protocol held-out", report.held_out_pairs),
            )
        ),
    ]
    curves = [entry for entry in named if entry]
    made = [roc_figure([(name, curve) for name, curve, _ in curves])] if curves else []
    if report.open_set is not None:
        open_set, threshold = report.open_set, report.threshold
        searched = [s for s in open_set.searches if len(s.rank_S) and len(s.best_T)]
        if searched:
            galleries = open_set.calibration.galleries if open_set.calibration else ()
            made.append(det_figure(searched, galleries))
            made.append(
                searches_figure(open_set.reference, threshold.similarity if threshold else None)
            )
    if report.ranks is not None:
        made.append(cmc_figure(report.ranks))
    made += [pairs_figure(name, curve, equal.threshold) for name, curve, equal in curves]
    made += [space_figure(view) for view in report.views]
    return made


def _metrics_table(metrics: Sequence[Metric]) -> str:
    if not metrics:
        return "<p>Nothing could be measured.</p>"
    rows = [
        [
            f"<th scope='row'><code>{_text(metric.name)}</code></th>",
            _number(metric.value, shown(metric)),
            _cell(metric.protocol),
            _cell(metric.data),
        ]
        for metric in metrics
    ]
    return _table("What was measured", ["figure", "#value", "protocol", "data"], rows)


def _default_threshold(report: Report) -> str:
    threshold = report.threshold
    if threshold is None:
        return "<p>There is no default threshold.</p>"
    rows = [
        [
            _number(threshold.similarity, f"{threshold.similarity:.4f}"),
            _number(threshold.fpir, f"{threshold.fpir:.2%}"),
            _number(threshold.gallery_subjects, str(threshold.gallery_subjects)),
            _number(threshold.searches, str(threshold.searches)),
            _cell(threshold.data),
        ]
    ]
    heads = ["#similarity", "#FPIR", "#N subjects", "#strangers", "data"]
    return _table("Default threshold", heads, rows)


def _unanswered(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "\n".join(f"<li>{_text(line)}</li>" for line in lines)
    return f"<h3>What could not be measured</h3>\n<ul>\n{items}\n</ul>"


def _open_set_table(calibration: Calibration) -> str:
    rows = [row for gallery in calibration.galleries for row in _gallery_rows(gallery)]
    caption = (
        f"Open-set search, protocol zero-shot: {calibration.data}; {calibration.images_enrolled} "
        "image(s) each enrolled, a miss unless the right subject is at rank 1 and similarity >= "
        f"threshold; 95 % intervals by subject, {calibration.replicates} replicates"
    )
    heads = [
        "#N subjects", "#draws", "#mated subjects", "#mated searches", "#strangers",
        "#their searches", "#target FPIR", "#threshold", "#FPIR", "#at most (95 %)", "#FNIR",
        "95 % interval",
    ]  # fmt: skip
    return _table(caption, heads, rows)


def _gallery_rows(gallery: GalleryCalibration) -> list[list[str]]:
    counts = [
        gallery.subjects, gallery.draws, gallery.mated_subjects, gallery.mated_searches,
        gallery.nonmated_subjects, gallery.nonmated_searches,
    ]  # fmt: skip
    same = [_number(count, f"{count}") for count in counts]
    rows = []
    for point in gallery.points:
        row = [
            *same,
            _number(point.target_fpir, f"{point.target_fpir:.4g}"),
            _number(point.threshold, f"{point.threshold:.4f}"),
            _number(point.fpir, f"{point.fpir:.2%}"),
            _number(point.fpir_upper95, f"{point.fpir_upper95:.2%}"),
        ]
        fnir = point.fnir
        row += (
            ["<td colspan='2'>too few mated subjects</td>"]
            if fnir is None
            else [
                _number(fnir.value, f"{fnir.value:.1%}"),
                _cell(f"{fnir.low95:.1%} to {fnir.high95:.1%}"),
            ]
        )
        rows.append(row)
    for other in gallery.unsupported:
        target = _number(other.target_fpir, f"{other.target_fpir:.4g}")
        words = f"<td colspan='5'>not supported: {_text(other.reason)}</td>"
        rows.append([*same, target, words])
    return rows


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of finished cells; a head that begins with # is of a column of numbers."""
    head = "".join(
        f"<th scope='col' class='number'>{_text(name[1:])}</th>"
        if name.startswith("#")
        else f"<th scope='col'>{_text(name)}</th>"
        for name in heads
    )
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return (
        f"<div class='wide'><table>\n<caption>{_text(caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _figure(drawing: Drawing) -> str:
    return (
        f"<figure>\n<h3>{_text(drawing.title)}</h3>\n{drawing.svg}\n"
        f"<figcaption>{_text(drawing.description)}</figcaption>\n</figure>"
    )


def _number(value: float, words: str) -> str:
    return f"<td class='number'><data value='{value!r}'>{_text(words)}</data></td>"


def _cell(words: str) -> str:
    return f"<td>{_text(words)}</td>"


def _text(words: str) -> str:
    return html.escape(words)
