"""Figures of a report as inline SVG: ROC, DET, CMC, histograms, the space.

Text stays text, ink takes the colour of the page around it (so that light and dark both work), and
nothing is fetched from anywhere. matplotlib is used through its object interface: no global state
but rc settings, and these only while a figure is written.
"""

import html
import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from contract.calibration.intervals import RULE_OF_THREE
from contract.calibration.records import GalleryCalibration
from contract.calibration.searches import Searches
from training.evaluation.open_set import det_curve
from training.evaluation.roc import RocCurve
from training.evaluation.space_view import SpaceView
from training.evaluation.zero_shot import RankResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.floating]

INK = "#010203"  # replaced by the page's own colour
FAINT = "#808080"
# Told apart on white and on black, by eyes that see no red or no green, too, for the first ones.
COLOURS = (
    "#2f86d1", "#e07b22", "#2f9e6e", "#c256a8", "#8c7ae6",
    "#b59a1f", "#d6453d", "#1ca3b5", "#8a8f3c", "#a9745b",
)  # fmt: skip
MATED, NONMATED = COLOURS[0], COLOURS[1]
CURVE_POINTS = 400
BINS = 60


@dataclass(frozen=True, slots=True)
class Drawing:
    """title and description say in words what the picture shows; svg is one <svg> element."""

    title: str
    description: str
    svg: str


def roc_figure(curves: Sequence[tuple[str, RocCurve]]) -> Drawing:
    """1:1 ROC curves by name, FMR on a logarithmic axis."""
    figure, axes = _canvas("false match rate (FMR)", "true match rate (1 - FNMR)")
    lowest = min(1 / curve.nonmated for _, curve in curves)
    for (name, curve), colour in zip(curves, COLOURS, strict=False):
        fmr, tmr = _thinned(curve.fmr_T, curve.tmr_T)
        axes.plot(np.maximum(fmr, lowest), tmr, color=colour, label=name)
    axes.set_xscale("log")
    _percent(axes, "x", [x for x in (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0) if x >= lowest])
    _percent(axes, "y", [0, 0.25, 0.5, 0.75, 1])
    axes.set_xlim(lowest, 1)
    axes.set_ylim(0, 1.01)
    axes.legend(loc="lower right")
    best = "; ".join(
        f"{name}: {_at(curve, 0.01):.1%} of {curve.mated} mated pairs are accepted where 1 % of "
        f"{curve.nonmated} non-mated ones are"
        for name, curve in curves
    )
    return _drawn(figure, "ROC: verification of pairs (1:1)", best + ".")


def det_figure(
    searches: Sequence[Searches], galleries: Sequence[GalleryCalibration] = ()
) -> Drawing:
    """Open-set DET curves by gallery size on normal deviates; bars are 95 % intervals.

    Dotted where the strangers are too few to show so small an FPIR.
    """
    figure, axes = _canvas("FPIR, share of searches by strangers", "FNIR, share of mated searches")
    lowest = min(1 / len(s.best_T) for s in searches)
    for s, colour in zip(searches, COLOURS, strict=False):
        curve = det_curve(s)
        inside = curve.fpir_C > 0
        fpir, fnir = _thinned(curve.fpir_C[inside][::-1], curve.fnir_C[inside][::-1])
        shown = fpir >= RULE_OF_THREE / s.nonmated_subjects
        fpir, fnir = _deviates(fpir), _deviates(fnir)
        axes.plot(fpir[~shown], fnir[~shown], color=colour, linestyle=":", linewidth=1)
        axes.plot(fpir[shown], fnir[shown], color=colour, label=f"N = {s.gallery_subjects}")
    for gallery in galleries:
        sizes = [s.gallery_subjects for s in searches]
        if gallery.subjects in sizes[: len(COLOURS)]:
            _interval_bars(axes, gallery, COLOURS[sizes.index(gallery.subjects)])
    _percent(
        axes, "x", [x for x in (1e-4, 1e-3, 0.01, 0.1, 0.3, 0.6, 0.9) if x >= lowest], _deviates
    )
    _percent(axes, "y", [0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99], _deviates)
    axes.set_xlim(*_deviates(np.array([lowest, 0.9])))
    axes.set_ylim(*_deviates(np.array([0.001, 0.999])))
    axes.legend(loc="best")
    sizes_in_words = ", ".join(str(s.gallery_subjects) for s in searches)
    return _drawn(
        figure,
        "DET: open-set search (1:N), protocol zero-shot",
        f"FNIR over FPIR in galleries of {sizes_in_words} subjects. Dotted: fewer than 3 / FPIR "
        "strangers, so not supported. Bars: 95 % intervals by subject.",
    )


def cmc_figure(result: RankResult) -> Drawing:
    """Cumulative match characteristic."""
    figure, axes = _canvas("rank", "mated searches within rank")
    ranks = np.arange(1, len(result.cmc_R) + 1)
    axes.plot(ranks, result.cmc_R, color=MATED, marker="o", markersize=3)
    axes.set_xlim(0.5, len(ranks) + 0.5)
    axes.set_xticks(np.unique(np.linspace(1, len(ranks), min(len(ranks), 10)).astype(int)))
    _percent(axes, "y", [0, 0.25, 0.5, 0.75, 1])
    axes.set_ylim(0, 1.01)
    return _drawn(
        figure,
        "CMC: closed-set search (1:N), protocol zero-shot",
        f"{result.cmc_R[0]:.1%} of the probes find their subject at rank 1, {result.cmc_R[-1]:.1%} "
        f"within rank {len(ranks)}, among {result.subjects} subjects with {result.enrolled} "
        "image(s) each.",
    )


def searches_figure(searches: Searches, threshold: float | None) -> Drawing:
    """Histograms of a search's deciding similarity: the mate's, and a stranger's best candidate."""
    figure, axes = _canvas("similarity", "share of searches")
    _steps(axes, searches.similarity_S, None, MATED, "to the right subject (mated)")
    _steps(axes, searches.best_T, None, NONMATED, "best candidate of a stranger (non-mated)")
    _threshold_line(axes, threshold, "default threshold")
    return _drawn(
        figure,
        f"Similarities of searches (1:N), N = {searches.gallery_subjects}, protocol zero-shot",
        f"{len(searches.rank_S)} mated and {len(searches.best_T)} non-mated searches. "
        + (f"Default threshold: {threshold:.4f}." if threshold is not None else "No threshold."),
    )


def pairs_figure(name: str, curve: RocCurve, threshold: float) -> Drawing:
    """Histograms of the similarities of pairs, with the threshold of the EER."""
    figure, axes = _canvas("similarity", "share of pairs")
    scores = curve.threshold_T[1:]
    _steps(axes, scores, np.diff(curve.tmr_T), MATED, "mated pairs")
    _steps(axes, scores, np.diff(curve.fmr_T), NONMATED, "non-mated pairs")
    _threshold_line(axes, threshold, "threshold of the EER")
    return _drawn(
        figure,
        f"Similarities of pairs (1:1), {name}",
        f"{curve.mated} mated and {curve.nonmated} non-mated pairs. EER at {threshold:.4f}.",
    )


def space_figure(view: SpaceView) -> Drawing:
    """The points of a view, its named identities coloured."""
    figure, axes = _canvas("first axis", "second axis")
    others = view.named_P < 0
    # Thousands of points are a picture inside the picture.
    x, y = view.points_P2.T
    axes.scatter(x[others], y[others], s=5, color=FAINT, alpha=0.5, rasterized=True)
    for i, name in enumerate(view.names):
        own, colour = view.named_P == i, COLOURS[i % len(COLOURS)]
        # A name is only text: no mathematics between dollar signs, no hidden underscore, one line.
        label = "\N{ZERO WIDTH SPACE}" + " ".join(name.split()).replace("$", r"\$")
        axes.scatter(x[own], y[own], s=9, color=colour, label=label, rasterized=True)
    axes.set_aspect("equal", adjustable="datalim")
    if others.any():
        axes.scatter([], [], s=9, color=FAINT, label="others")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    return _drawn(
        figure,
        f"The space in two dimensions: {view.data}",
        f"{len(view.points_P2)} embeddings; the axes show {view.explained:.0%} of their variance. "
        f"Coloured: {', '.join(view.names)}.",
    )


def _canvas(x: str, y: str) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color=FAINT, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _drawn(figure: "Figure", title: str, description: str) -> Drawing:
    return Drawing(title, description, _svg(figure, title, description))


def _svg(figure: "Figure", title: str, description: str) -> str:
    from matplotlib import rc_context

    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    buffer = io.StringIO()
    with (
        rc_context({"svg.fonttype": "none", "svg.hashsalt": title, "savefig.dpi": 150}),
        warnings.catch_warnings(),
    ):
        # The browser has the letters that the font used for measuring lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        for axes in figure.axes:
            _ink(axes)
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    # Several figures share a page: each has ids of its own.
    prefix = re.sub(r"\W+", "-", title).strip("-").lower()
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\1{prefix}-", text)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    label = html.escape(f"{title}. {description}")
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def _ink(axes: "Axes") -> None:
    """Everything that is not data in the page's own colour."""
    axes.tick_params(which="both", colors=INK)
    for spine in axes.spines.values():
        spine.set_color(INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    legend = axes.get_legend()
    if legend is not None:
        legend.set_frame_on(False)
        for text in legend.get_texts():
            text.set_color(INK)


def _steps(axes: "Axes", values: Floats, weights: Floats | None, colour: str, label: str) -> None:
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    shares = np.full(len(values), 1 / max(1, len(values))) if weights is None else weights
    width = max(0.005, (high - low) / BINS)
    edges = np.arange(np.floor(low / width), np.ceil(high / width) + 2) * width
    counts, edges = np.histogram(values, bins=edges, weights=shares)
    axes.stairs(counts, edges, color=colour, fill=True, alpha=0.35)
    axes.stairs(counts, edges, color=colour, label=label)


def _threshold_line(axes: "Axes", threshold: float | None, label: str) -> None:
    if threshold is not None and np.isfinite(threshold):
        axes.axvline(threshold, color=INK, linestyle="--", label=f"{label} {threshold:.4f}")
    _percent(axes, "y", list(axes.get_yticks())[1:-1])
    # Above the axes, where no bar is.
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize="small")


def _interval_bars(axes: "Axes", gallery: GalleryCalibration, colour: str) -> None:
    for point in gallery.points:
        if point.fnir is not None and point.fpir > 0:
            x = _deviates(np.array([point.fpir, point.fpir]))
            bar = _deviates(np.array([point.fnir.low95, point.fnir.high95]))
            axes.plot(x, bar, color=colour, linewidth=1.2)
            axes.plot(x[:1], _deviates(np.array([point.fnir.value])), "o", color=colour, ms=4)


def _deviates(rates: Floats) -> npt.NDArray[np.float64]:
    """Normal deviates of rates, cut at 1e-6 from 0 and 1, on which DET curves are near lines."""
    normal = NormalDist()
    return np.array([normal.inv_cdf(float(rate)) for rate in np.clip(rates, 1e-6, 1 - 1e-6)])


def _percent(
    axes: "Axes",
    which: Literal["x", "y"],
    rates: Sequence[float],
    scale: Callable[[Floats], Floats] = np.asarray,
) -> None:
    """Ticks at `rates`, written in percent, at the places where `scale` puts them."""
    places = scale(np.array(rates, dtype=np.float64)).tolist()
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_ticks(places, labels=[f"{rate * 100:.4g} %" for rate in rates])
    axis.set_ticks([], minor=True)


def _thinned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """At most about 2 * CURVE_POINTS points: dense at the start, where rates are small."""
    if len(x) <= 2 * CURVE_POINTS:
        return x, y
    even = np.linspace(0, len(x) - 1, CURVE_POINTS)
    dense = np.geomspace(1, len(x), CURVE_POINTS) - 1
    rows = np.unique(np.concatenate([even, dense]).astype(int))
    return x[rows], y[rows]


def _at(curve: RocCurve, fmr: float) -> float:
    return float(curve.tmr_T[np.flatnonzero(curve.fmr_T <= fmr)[-1]])
