"""Draw a chart in the terminal."""

from __future__ import annotations

import math

from rich.text import Text

from results.extras import is_installed, missing
from results.figures.charts import Chart, wrap
from results.figures.drawing import steps_of, value_limits
from results.figures.ticks import step_ticks, tick_texts, ticks

_NUMBERS = "123456789abcdefghijklmnopqrstuvwxyz"  # the markers of several lines


def terminal_chart(chart: Chart, width: int, height: int = 12, x_label: str = "step") -> Text:
    """Draw a chart of ``width`` columns with its title; several lines are numbered, with a legend.

    Without plotext, return one line that says how to install it.
    """
    if not is_installed("plotext"):
        return Text(missing(f"the curve of {chart.label}", "plotext"), style="dim")
    several = len(chart.lines) > 1
    head = chart.label if not chart.title else f"{chart.label}, {chart.title}"
    drawn = Text("\n").join(
        [
            Text("\n".join(wrap(head, width))),
            _plot(chart, width, height + 6 * several, x_label),
            *(_names(chart, width) if several else []),
        ]
    )
    drawn.no_wrap = True
    return drawn


def _names(chart: Chart, width: int) -> list[Text]:
    entries = zip(_NUMBERS, chart.lines, strict=False)
    lines = [line for number, name in entries for line in wrap(f"{number} {name}", width)]
    hidden = len(chart.lines) - len(_NUMBERS)
    return [Text(line) for line in [*lines, *([f"{hidden} more lines"] if hidden > 0 else [])]]


def _plot(chart: Chart, width: int, height: int, x_label: str) -> Text:
    import plotext

    log = chart.log and any(y > 0 for points in chart.lines.values() for _, y in points)

    def scale(value: float) -> float:
        return math.log10(value) if log else value

    low, high = value_limits(chart, log)
    found = ticks(low, high, log=log, max_ticks=max(3, height // 2))
    texts = tick_texts(found)
    plotext.clear_figure()
    plotext.plotsize(width, height)
    plotext.theme("clear")
    steps = steps_of(chart)
    for number, points in zip(_NUMBERS, chart.lines.values(), strict=False):
        shown = [(x, scale(y)) for x, y in points if y > 0 or not log]
        if len(points) == 1:  # a level
            shown = [(x, scale(y)) for _, y in points for x in (min(steps), max(steps))]
        marker = number if len(chart.lines) > 1 else "braille"
        plotext.plot([x for x, _ in shown], [y for _, y in shown], marker=marker)
    plotext.ylim(scale(low), scale(high))
    plotext.yticks([scale(value) for value in found], texts)
    room = width - max(map(len, texts)) - 3
    found = step_ticks(steps, room)
    plotext.xticks(found, tick_texts(found))
    plotext.xlabel(x_label)
    drawn = Text.from_ansi(plotext.build())
    drawn.rstrip()
    return drawn
