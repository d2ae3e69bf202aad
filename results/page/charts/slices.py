"""The main metric over each parameter, and over two parameters at once."""

from __future__ import annotations

import math
from typing import Any

from results.page.charts.chart import PageChart, axis, escape
from results.page.charts.scores import Parameter, Scored

MAX_SLICES = 6  # parameters, the most important ones
_MAX_CELLS = 15  # levels of a parameter that a map shows one by one


def slice_charts(scored: Scored) -> list[PageChart]:
    """Return a chart for each parameter, the most important ones first: every trial is a point."""
    return [_slice(scored, one, n) for n, one in enumerate(scored.ranked[:MAX_SLICES])]


def _slice(scored: Scored, one: Parameter, number: int) -> PageChart:
    return PageChart(
        id=f"slice-{number}",
        title=f"{scored.label} by {one.label}",
        summary=f"{scored.label} of {len(scored.rows)} trials over {one.label}.",
        traces=[
            {
                "type": "scatter",
                "mode": "markers",
                "x": one.shown(),
                "y": list(scored.scores),
                "text": [escape(text) for text in scored.hover],
                "hovertemplate": "%{text}: %{y:.4g}<extra></extra>",
                "marker": {"size": 7, "opacity": 0.6},
                "meta": {"color": 0},
            }
        ],
        layout={
            "xaxis": axis(one.label, **one.axis()),
            "yaxis": axis(scored.label),
            "height": 300,
        },
    )


def contour_chart(scored: Scored) -> list[PageChart]:
    """Return the mean metric over the two most important parameters; none if there is but one.

    A map of cells where the parameters have few values, otherwise contours between the trials.
    """
    pair = scored.ranked[:2]
    if len(pair) < 2 or len(scored.rows) < 4:
        return []
    x, y = pair
    is_map = all(len(one.levels) <= _MAX_CELLS for one in pair)
    if not is_map and not all(one.is_number for one in pair):
        return []
    trace = _map(scored, x, y) if is_map else _contours(scored, x, y)
    bar = {"title": {"text": escape(scored.label)}, "thickness": 14}
    axes = (
        [axis(one.label, type="category") for one in pair]
        if is_map
        else [axis(one.label, **one.axis()) for one in pair]
    )
    return [
        PageChart(
            id="contour",
            title=f"{scored.label} by {x.label} and {y.label}",
            summary=f"Mean {scored.label} over {x.label} and {y.label}.",
            notes=["Means over the finished trials with these two values."] * is_map,
            traces=[{**trace, "colorscale": "Viridis", "colorbar": bar}],
            layout={"xaxis": axes[0], "yaxis": axes[1]},
        )
    ]


def _map(scored: Scored, x: Parameter, y: Parameter) -> dict[str, Any]:
    cells: dict[tuple[str, str], list[float]] = {}
    for first, second, score in zip(x.values, y.values, scored.scores, strict=True):
        cells.setdefault((repr(first), repr(second)), []).append(score)
    means = {key: sum(each) / len(each) for key, each in cells.items()}
    return {
        "type": "heatmap",
        "x": [escape(text) for text in _texts(x)],
        "y": [escape(text) for text in _texts(y)],
        "z": [
            [means.get((repr(first), repr(second)), math.nan) for first in x.levels]
            for second in y.levels
        ],
        "texttemplate": "%{z:.4g}",
        "hovertemplate": f"{escape(x.label)} %{{x}}, {escape(y.label)} %{{y}}: %{{z:.4g}}"
        "<extra></extra>",
        "hoverongaps": False,
    }


def _texts(one: Parameter) -> list[str]:
    from results.tables.cell_text import format_plain

    return [format_plain(value) for value in one.levels]


def _contours(scored: Scored, x: Parameter, y: Parameter) -> dict[str, Any]:
    """Contours over the trials' own values; Plotly fills what is between them."""
    means: dict[tuple[float, float], list[float]] = {}
    for first, second, score in zip(x.values, y.values, scored.scores, strict=True):
        means.setdefault((first, second), []).append(score)
    return {
        "type": "contour",
        "x": [first for first, _ in means],
        "y": [second for _, second in means],
        "z": [sum(each) / len(each) for each in means.values()],
        "connectgaps": True,
        "line": {"width": 0.5},
    }
