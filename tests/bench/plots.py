"""Plots of a run as SVG: how its figures stand to their goals, and what grows with what."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import leather
from leather import theme

from tests.bench.figures import Measured
from tests.bench.record import Run

MOST_TIMES_GOAL = 5.0
"""Bars end here: what is far above its goal would make the others unreadable."""
_REACHED, _MISSED = "#059669", "#dc2626"
_COLORS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f", "#111827", "#a16207")


def plots(run: Run) -> Iterator[tuple[str, str, bytes]]:
    """File name, alternative text and SVG of each plot of the run."""
    figures = [figure for part in run.parts.values() for figure in part.figures]
    goals = [(figure.what, times) for figure in figures if (times := times_goal(figure)) is not None]
    if goals:
        yield "performance-goals.svg", "How many times its goal each figure reaches", _goals(goals)
    for unit in dict.fromkeys(figure.size_unit for figure in figures if figure.line):
        lines = [figure for figure in figures if figure.line and figure.size_unit == unit]
        slug = re.sub(r"\W+", "-", unit)
        yield f"performance-growth-{slug}.svg", f"What grows with the number of {unit}", _growth(unit, lines)


def write_plots(run: Run, folder: Path) -> list[tuple[str, str]]:
    """Write the plots in place of those of an earlier run. Returns their names and alternative texts."""
    for old in folder.glob("performance-*.svg"):
        old.unlink()
    written = []
    for name, text, svg in plots(run):
        (folder / name).write_bytes(svg)
        written.append((name, text))
    return written


def times_goal(figure: Measured) -> float | None:
    """How far a figure is above its goal: 1 just reaches it, more is better. None: it has none, or was not measured."""
    value = figure.ratio if figure.ratio_of else figure.value
    if figure.goal is None or not value:
        return None
    goal = float(figure.goal[1:])
    return value / goal if figure.is_more_better else goal / value


def _goals(goals: Sequence[tuple[str, float]]) -> bytes:
    """A bar for each goal: green where it is reached."""
    rows = [(min(times, MOST_TIMES_GOAL), f"{what}: {times:.2g} ×") for what, times in goals]
    chart = leather.Chart("Times its goal (1: just reached; bars end at 5)")
    chart.add_bars(rows, fill_color=lambda bar: _REACHED if bar.x >= 1 else _MISSED)
    chart.add_x_scale(0, MOST_TIMES_GOAL)
    return _svg(chart, 90 + 24 * len(rows))


def _growth(unit: str, figures: Sequence[Measured]) -> bytes:
    """One line for each `line`; both axes are logarithmic."""
    chart = leather.Chart(f"{', '.join(dict.fromkeys(figure.unit for figure in figures))} by the number of {unit}")
    points = [(math.log10(figure.size), math.log10(figure.value)) for figure in figures if figure.size and figure.value]
    for number, name in enumerate(dict.fromkeys(figure.line for figure in figures)):
        own = [point for point, figure in zip(points, figures, strict=True) if figure.line == name]
        chart.add_line(own, name=name, stroke_color=_COLORS[number % len(_COLORS)])
    for (least, most), scale, axis in (
        (_decades([x for x, _ in points]), chart.add_x_scale, chart.add_x_axis),
        (_decades([y for _, y in points]), chart.add_y_scale, chart.add_y_axis),
    ):
        scale(least, most)
        axis(ticks=list(range(least, most + 1)), tick_formatter=_power_of_ten)
    return _svg(chart, 420)


def _power_of_ten(exponent: int, *_: int) -> str:
    return f"{10**exponent:,}" if exponent >= 0 else f"{10**exponent:g}"


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten around these logarithms."""
    least, most = math.floor(min(values)), math.ceil(max(values))
    return least, max(most, least + 1)


def _svg(chart: Any, height: int) -> bytes:
    """The chart in the theme of the documentation, with lengths in whole tenths."""
    with _themed():
        svg = chart.to_svg(width=900, height=height)
    return re.sub(r"(\d+\.\d)\d+", r"\1", str(svg)).encode() + b"\n"


@contextlib.contextmanager
def _themed() -> Iterator[None]:
    """leather keeps its theme in a module."""
    chosen = {
        **{f"{part}_font_family": "sans-serif" for part in ("title", "legend", "axis_title", "tick")},
        "background_color": "#fff",
        "margin": 0.04,
        "label_color": "#444",
        "tick_color": "#ddd",
        "tick_font_size": 12,
        "tick_font_char_width": 6.2,
        "legend_font_size": 12,
        "legend_font_char_width": 6.5,
    }
    before = {name: getattr(theme, name) for name in chosen}
    vars(theme).update(chosen)
    try:
        yield
    finally:
        vars(theme).update(before)
