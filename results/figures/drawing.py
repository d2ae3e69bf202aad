"""Draw charts as PNG or SVG: a title, and for each chart a plot of fixed height and its legend.

The layout is in inches, so a long legend makes the figure taller and not the plots smaller.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from results.extras import require
from results.figures.charts import Chart, wrap
from results.figures.ticks import limits, step_ticks, tick_texts, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

FORMS = ("png", "svg")
WIDTH, PLOT_HEIGHT = 7.0, 3.2  # inches
_LEFT, _RIGHT, _EDGE = 0.85, 0.2, 0.12
_BELOW = 0.5  # height of the ticks and the label of an x axis
_TITLE, _NOTE, _ENTRY = 0.24, 0.15, 0.16  # line heights of title, notes and legend
_TITLE_CHARS, _CHARS, _COLUMN_CHARS = 72, 98, 50  # characters per line; the last: half a legend
_NOTE_LINES = 4
_THIN = 1.5  # points; a curve is this much wider for each later curve that would hide it
_LEVELS = ("0.15", "0.55")  # grays of the dashed lines


def figure_of(charts: Sequence[Chart], x_label: str = "step") -> Figure:
    """Return a figure with an axis for each chart, and a legend if there are several lines."""
    from matplotlib.figure import Figure

    titles = wrap(charts[0].title, _TITLE_CHARS)
    notes = [line for note in charts[0].notes for line in wrap(note, _CHARS, _NOTE_LINES)]
    head = _EDGE + _TITLE * len(titles) + _NOTE * len(notes) + _EDGE
    legends = [_legend(charts, number) for number in range(len(charts))]
    heights = [PLOT_HEIGHT + _BELOW + _ENTRY * lines for _, lines in legends]
    total = head + sum(heights) + _EDGE * len(charts)
    figure = Figure(figsize=(WIDTH, total), dpi=150)
    left, top = _LEFT / WIDTH, total - _EDGE
    for text, size, color, height in (
        *((line, 10, "0.0", _TITLE) for line in titles),
        *((line, 7, "0.35", _NOTE) for line in notes),
    ):
        weight = "bold" if height == _TITLE else "normal"
        figure.text(
            left, top / total, text, size=size, color=color, weight=weight, va="top"
        ).set_parse_math(False)
        top -= height
    top -= _EDGE
    for chart, (labels, _), height in zip(charts, legends, heights, strict=True):
        box = (left, (top - PLOT_HEIGHT) / total, 1 - left - _RIGHT / WIDTH, PLOT_HEIGHT / total)
        handles = _draw(figure.add_axes(box), chart, x_label)
        if labels:
            _add_legend(figure, handles, labels, left, (top - PLOT_HEIGHT - _BELOW) / total)
        top -= height + _EDGE
    return figure


def _legend(charts: Sequence[Chart], number: int) -> tuple[list[str], int]:
    """Return the legend entries of a chart and their number of lines.

    There are none if the next chart has the same legend.
    """
    names = list(charts[number].lines)
    repeated = number + 1 < len(charts) and list(charts[number + 1].lines) == names
    if len(names) < 2 or repeated:
        return [], 0
    # matplotlib omits entries that begin with an underscore.
    texts = [f" {name}" if name.startswith("_") else name for name in names]
    entries = ["\n".join(wrap(text, _CHARS - 6)) for text in texts]
    if _num_columns(entries) == 2:
        return entries, math.ceil(len(entries) / 2)
    return entries, sum(entry.count("\n") + 1 for entry in entries)


def _num_columns(entries: Sequence[str]) -> int:
    return 2 if max(map(len, entries)) <= _COLUMN_CHARS and len(entries) > 3 else 1


def _add_legend(
    figure: Figure, handles: Sequence[Line2D], labels: Sequence[str], left: float, top: float
) -> None:
    legend = figure.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(left, top),
        borderaxespad=0,
        borderpad=0,
        handlelength=2.5,
        fontsize=7,
        frameon=False,
        ncols=_num_columns(labels),
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _draw(axes: Axes, chart: Chart, x_label: str) -> list[Line2D]:
    log = chart.log and any(y > 0 for points in chart.lines.values() for _, y in points)
    handles = []
    levels = 0
    for name, points in chart.lines.items():
        shown = [(x, y) for x, y in points if y > 0 or not log]
        xs, ys = [x for x, _ in shown], [y for _, y in shown]
        if len(points) == 1:
            color = _LEVELS[levels % len(_LEVELS)]
            handles.append(
                axes.axhline(*(ys or [math.nan]), color=color, ls="--", lw=1, label=name)
            )
            levels += 1
            continue
        marker = "o" if len(xs) <= 20 else None
        width = _THIN * (1 + _num_above(chart, name))
        # Without clipping, points at the edge are drawn completely.
        handles += axes.plot(
            xs, ys, marker=marker, markersize=2 * width, lw=width, label=name, clip_on=False
        )
        band = [(x, low, high) for x, low, high in chart.bands.get(name, ()) if low > 0 or not log]
        if band:
            at, lows, highs = zip(*band, strict=True)
            axes.fill_between(at, lows, highs, color=handles[-1].get_color(), alpha=0.15, lw=0)
    _scale(axes, chart, log)
    axes.set_xlabel(x_label, size=8).set_parse_math(False)
    axes.set_ylabel("\n".join(wrap(chart.label, 50, 2)), size=8).set_parse_math(False)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return handles


def _num_above(chart: Chart, name: str) -> int:
    """Return the number of later curves that coincide with a curve and would hide it."""
    names = list(chart.lines)
    points = chart.lines[name]
    values = [y for points in chart.lines.values() for _, y in points]
    close = (max(values) - min(values)) / 200  # about the width of a line
    return sum(
        len(other) == len(points)
        and all(
            x == u and abs(y - v) <= close for (x, y), (u, v) in zip(points, other, strict=True)
        )
        for other in (chart.lines[later] for later in names[names.index(name) + 1 :])
    )


def _scale(axes: Axes, chart: Chart, log: bool) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    low, high = value_limits(chart, log)
    if log:
        axes.set_yscale("log")
    axes.set_ylim(low, high)
    found = ticks(low, high, log=log)
    axes.yaxis.set_major_locator(FixedLocator(found))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_yticklabels(tick_texts(found))
    steps = steps_of(chart)
    # Characters of 8 points are a fourteenth of an inch wide.
    found = step_ticks(steps, room=int(14 * (WIDTH - _LEFT - _RIGHT)))
    axes.set_xticks(found, tick_texts(found))
    pad = 0.02 * (max(steps) - min(steps)) or 0.5
    axes.set_xlim(min(steps) - pad, max(steps) + pad)


def steps_of(chart: Chart) -> set[float]:
    """Return the steps of a chart's curves, or of its levels if it has no curves."""
    curves = [points for points in chart.lines.values() if len(points) > 1]
    return {x for points in curves or chart.lines.values() for x, _ in points}


def value_limits(chart: Chart, log: bool) -> tuple[float, float]:
    """Return the limits of a chart's axis of values."""
    values = [y for points in chart.lines.values() for _, y in points]
    values += [y for band in chart.bands.values() for _, *ends in band for y in ends]
    values = [y for y in values if y > 0 or not log]
    return limits(values, log=log, top=100 if chart.label.endswith("(%)") else math.inf)


# --- files ----------------------------------------------------------------------------------------


def draw(charts: Sequence[Chart], x_label: str, form: str) -> bytes:
    """Draw charts as the bytes of a PNG or SVG file. Equal charts give equal bytes.

    Raises:
        RequestError: if matplotlib is not installed.
    """
    require("a figure", "matplotlib")
    with _silent():
        import matplotlib  # takes a second, and may write about its font cache

        out = io.BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": "orchestrator"}):
            metadata = {"Date": None} if form == "svg" else None
            figure_of(charts, x_label).savefig(out, format=form, metadata=metadata)
    return out.getvalue()


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Silence matplotlib's warnings, such as about missing glyphs."""
    logger = logging.getLogger("matplotlib")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
