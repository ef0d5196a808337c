"""Small pictures of the report as SVG, the same bytes for the same figures.

Ink is a grey that shows on white and on black. Numbers are rounded, so that a picture is kept in
the project and compared with its figures; matplotlib's (evaluation/figures.py) change with its
version.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from training.evaluation.figures import COLOURS

INK = "#808080"
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 720, 200, 20, 10, 40
LINE_PX = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """points: x, y; joined by a line where `joined`."""

    name: str
    points: tuple[tuple[float, float], ...]
    joined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dots:
    """A line of the dot plot. values: filled dots. reference: a hollow one, as the paper has it."""

    name: str
    values: tuple[float, ...]
    reference: float | None = None


def dot_plot(lines: Sequence[Dots], *, unit: str) -> str:
    """Every value of each line on one axis."""
    numbers = [v for line in lines for v in (*line.values, line.reference) if v is not None]
    low, high = _range(numbers)
    height = TOP + LINE_PX * len(lines) + BOTTOM

    def x(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    parts = []
    for number, line in enumerate(lines):
        y = TOP + LINE_PX * (number + 0.5)
        parts.append(_text(LEFT - 10, y + 4, line.name, "end"))
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, 0.3))
        parts += [_dot(x(value), y, COLOURS[0]) for value in line.values]
        if line.reference is not None:
            parts.append(_dot(x(line.reference), y, "none", COLOURS[1]))
    parts += [_text(x(low), height - 18, f"{low:.4g}"), _text(x(high), height - 18, f"{high:.4g}")]
    parts.append(_text((LEFT + WIDTH) / 2, height - 18, unit))
    return _svg(height, parts)


def line_plot(series: Sequence[Series], *, x_words: str, y_words: str, logarithmic: bool) -> str:
    """Curves. logarithmic: the axis of x, whose values are then above 0."""
    height, bottom = 360, 360 - BOTTOM
    points = [point for one in series for point in one.points]
    x_low, x_high = _range([_scaled(x, logarithmic) for x, _ in points])
    y_low, y_high = _range([y for _, y in points])

    def place(point: tuple[float, float]) -> tuple[float, float]:
        x = (_scaled(point[0], logarithmic) - x_low) / (x_high - x_low)
        y = (point[1] - y_low) / (y_high - y_low)
        return 60 + x * (WIDTH - LEFT - 60), bottom - y * (bottom - TOP)

    parts = [_line(60, bottom, WIDTH - LEFT, bottom), _line(60, TOP, 60, bottom)]
    for number, one in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        places = [place(point) for point in one.points]
        parts += [_dot(x, y, colour, radius=2.5) for x, y in places]
        if one.joined and len(places) > 1:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}"/>')
        y = TOP + LINE_PX * (number + 0.5)
        parts.append(_dot(WIDTH - LEFT + 20, y, colour))
        parts.append(_text(WIDTH - LEFT + 30, y + 4, one.name, "start"))
    ends = [10**x_low, 10**x_high] if logarithmic else [x_low, x_high]
    parts += [_text(60, height - 22, f"{ends[0]:.4g}")]
    parts += [_text(WIDTH - LEFT, height - 22, f"{ends[1]:.4g}")]
    parts.append(_text(WIDTH / 2 - 60, height - 22, x_words))
    parts += [_text(54, bottom, f"{y_low:.4g}", "end"), _text(54, TOP + 10, f"{y_high:.4g}", "end")]
    parts.append(_text(64, TOP + 10, y_words, "start"))
    return _svg(height, parts)


def plane(points: Sequence[tuple[float, float, int]], *, radius: float) -> str:
    """Embeddings of two numbers in a circle of `radius`, a colour a class."""
    side, middle = 360, 180
    scale = (middle - 15) / radius
    parts = [f'<circle cx="{middle}" cy="{middle}" r="{middle - 15}" fill="none" stroke="{INK}"/>']
    parts += [
        _dot(middle + x * scale, middle - y * scale, COLOURS[label % len(COLOURS)], radius=2.5)
        for x, y, label in points
    ]
    return _svg(side, parts, width=side)


def _scaled(value: float, logarithmic: bool) -> float:
    return math.log10(value) if logarithmic else value


def _range(numbers: Sequence[float]) -> tuple[float, float]:
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _svg(height: float, parts: Sequence[str], *, width: float = WIDTH) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
    return "\n".join([head + 'font-family="sans-serif" font-size="13">', *parts, "</svg>\n"])


def _text(x: float, y: float, words: str, anchor: str = "middle") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}"'
    return f"<text {place}>{html.escape(words)}</text>"


def _line(x1: float, y1: float, x2: float, y2: float, opacity: float = 1.0) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{INK}" opacity="{opacity}"/>'


def _dot(x: float, y: float, fill: str, stroke: str = "none", radius: float = 4) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{fill}" stroke="{stroke}"/>'
