"""Curves over steps: in the terminal, and as PNG or SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: (at, value) of one line of a figure, in order of ``at``.
Points = Sequence[tuple[float, float]]

MAX_LINES = 8  # more cannot be told apart


def terminal_curve(points: Points, label: str, width: int, height: int = 12) -> Text:
    """One curve drawn with braille dots, ``width`` columns wide."""
    import plotext

    finite = [(x, y) for x, y in points if math.isfinite(y)]
    plotext.clear_figure()
    plotext.plotsize(width, height)
    plotext.theme("clear")
    plotext.plot([x for x, _ in finite], [y for _, y in finite], marker="braille")
    plotext.title(label)
    at = sorted({x for x, _ in finite})
    if len(at) <= 10:
        plotext.xticks(at, [f"{x:g}" for x in at])
    drawn = Text.from_ansi(plotext.build())
    drawn.no_wrap = True
    return drawn


def curve_figure(lines: Mapping[str, Points], label: str, x_label: str = "step") -> Figure:
    """One axis with a line per entry, named in the legend where there is more than one."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.8), dpi=150, layout="constrained")
    axes = figure.subplots()
    for name, points in list(lines.items())[:MAX_LINES]:
        xs, ys = zip(*points, strict=True)
        axes.plot(xs, ys, marker="o" if len(xs) <= 20 else None, markersize=3, label=name)
    at = sorted({x for points in lines.values() for x, _ in points})
    if len(at) <= 12:
        axes.set_xticks(at)
    axes.set_xlabel(x_label)
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if len(lines) > 1:
        axes.legend(fontsize=7, frameon=False)
    if len(lines) > MAX_LINES:
        axes.set_title(f"the first {MAX_LINES} of {len(lines)} lines", fontsize=8, loc="left")
    return figure
