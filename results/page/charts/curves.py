"""Metrics over steps: those of a sweep's best configurations, and those of one trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.figures.charts import Chart, charts_of
from results.figures.drawing import steps_of
from results.figures.sweep_charts import sweep_charts
from results.page.charts.chart import PageChart, axis, escape
from results.storage.reading import Sweep
from results.text import plural
from tasks.contract import RequestError

Row = Mapping[str, Any]


def sweep_curves(sweep: Sweep, rows: Sequence[Row]) -> list[PageChart]:
    """Return the curves of the best of these trials, with bands over seeds."""
    try:
        found = sweep_charts(sweep, rows)
    except RequestError:
        return []
    unit = sweep.manifest.step_unit
    return [page_chart(chart, f"curve-{n}", unit) for n, chart in enumerate(found)]


def trial_curves(sweep: Sweep, trial: Row) -> list[PageChart]:
    """Return the curves of one trial."""
    charts = charts_of(sweep, trial)
    for chart in charts:
        chart.lines = {name: points for name, points in chart.lines.items() if len(points) > 1}
    drawn = [chart for chart in charts if chart.lines]
    unit, name = sweep.manifest.step_unit, f"curve-{trial['trial_id']}"
    return [page_chart(chart, f"{name}-{n}", unit) for n, chart in enumerate(drawn)]


def page_chart(chart: Chart, name: str, unit: str) -> PageChart:
    """Return the lines and bands of a chart over steps.

    Args:
        chart: the lines; one with a single point is a dashed level.
        name: the id of the chart on its page.
        unit: what the steps are.
    """
    is_log = chart.log and any(y > 0 for points in chart.lines.values() for _, y in points)
    steps = steps_of(chart)
    traces: list[dict[str, Any]] = []
    for number, (label, points) in enumerate(chart.lines.items()):
        if label in chart.bands:
            traces.append(_band(label, chart.bands[label], number))
        if len(points) == 1:
            ends = [min(steps), max(steps)]
            traces.append(_line(label, ends, [points[0][1]] * 2, number, dash="dash"))
        else:
            xs, ys = [x for x, _ in points], [y for _, y in points]
            traces.append(_line(label, xs, ys, number))
    what = plural(len(chart.lines), "line")
    return PageChart(
        id=name,
        title=f"{chart.label} by {unit}",
        summary=f"{chart.label} over {unit}s: {what}. {_ends(chart)}",
        notes=chart.notes,
        traces=traces,
        layout={
            "xaxis": axis(unit),
            "yaxis": axis(chart.label, type="log" if is_log else "linear"),
            "showlegend": len(chart.lines) > 1,
        },
    )


def _ends(chart: Chart) -> str:
    """Return the last value of each line, in words."""
    ends = [
        f"{label or 'line'} ends at {points[-1][1]:.4g}" for label, points in chart.lines.items()
    ]
    return "; ".join(ends[:8])


def _line(
    label: str, xs: Sequence[float], ys: Sequence[float], number: int, dash: str = "solid"
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers" if 1 < len(xs) <= 20 and dash == "solid" else "lines",
        "name": escape(label),
        "legendgroup": label,
        "x": list(xs),
        "y": list(ys),
        "line": {"width": 2, "dash": dash},
        "meta": {"color": number},
    }


def _band(label: str, band: Sequence[tuple[float, float, float]], number: int) -> dict[str, Any]:
    """From the lowest to the highest seed."""
    xs = [x for x, _, _ in band]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [*xs, *reversed(xs)],
        "y": [*(high for _, _, high in band), *reversed([low for _, low, _ in band])],
        "fill": "toself",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "legendgroup": label,
        "showlegend": False,
        "meta": {"color": number, "band": True},
    }
