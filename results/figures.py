"""Charts drawn: in the terminal, and as PNG or SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from results.charts import Chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_LINES = 8  # more cannot be told apart


def terminal_chart(chart: Chart, width: int, height: int = 12) -> Text:
    """A chart ``width`` columns wide; several lines differ by their markers."""
    import plotext

    several = len(chart.lines) > 1
    plotext.clear_figure()
    plotext.plotsize(width, height + 6 * several)
    plotext.theme("clear")
    at: set[float] = set()
    for number, (name, points) in enumerate(list(chart.lines.items())[:MAX_LINES]):
        finite = [(x, y) for x, y in points if math.isfinite(y) and (y > 0 or not chart.log)]
        marker = str(number + 1) if several else "braille"
        label = f"{number + 1} {name}" if several else None
        plotext.plot([x for x, _ in finite], [y for _, y in finite], marker=marker, label=label)
        at |= {x for x, _ in finite}
    if chart.log:
        plotext.yscale("log")
    plotext.title(chart.label)
    if len(at) <= 10:
        plotext.xticks(apart(at), [f"{x:g}" for x in apart(at)])
    drawn = Text.from_ansi(plotext.build())
    drawn.no_wrap = True
    return drawn


def apart(at: Iterable[float]) -> list[float]:
    """Those of the steps that have room for a tick each, the last one in any case."""
    steps = sorted(at)
    kept: list[float] = []
    for x in reversed(steps):
        if not kept or kept[-1] - x >= (steps[-1] - steps[0]) / 16:
            kept.append(x)
    return kept[::-1]


def figure_of(charts: Sequence[Chart], x_label: str = "step") -> Figure:
    """An axis for each chart; lines are named where there is more than one."""
    from matplotlib.figure import Figure

    legends = sum(min(len(c.lines), MAX_LINES) for c in charts if len(c.lines) > 1)
    size = (6, 3.8 * len(charts) + 0.16 * legends)  # the legend is below its chart
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    for chart, axes in zip(charts, figure.subplots(len(charts), squeeze=False)[:, 0], strict=True):
        for name, points in list(chart.lines.items())[:MAX_LINES]:
            xs, ys = zip(*points, strict=True)
            axes.plot(xs, ys, marker="o" if len(xs) <= 20 else None, markersize=3, label=name)
        at = sorted({x for points in chart.lines.values() for x, _ in points})
        if len(at) <= 12:
            axes.set_xticks(apart(at))
        if chart.log:
            axes.set_yscale("log")
        axes.set_xlabel(x_label)
        axes.set_ylabel(chart.label)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if len(chart.lines) > 1:
            axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.16))
        if len(chart.lines) > MAX_LINES:
            words = f"the first {MAX_LINES} of {len(chart.lines)} lines"
            axes.set_title(words, fontsize=8, loc="left")
    return figure
