"""Parallel coordinates: a line for each trial through its parameters to its metric.

They are drawn as plain lines: Plotly's own kind needs WebGL and permission to run generated code,
which the pages' content security policy does not give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from results.page.charts.chart import PageChart, escape
from results.page.charts.scores import MAX_TICKS, Parameter, Scored
from results.tables.cell_text import format_plain

_GROUPS = 5  # of trials by their metric, each with a color
_MAX_AXES = 8


def parallel_chart(scored: Scored) -> list[PageChart]:
    """Return the lines; none for fewer than two parameters or three trials."""
    shown = scored.ranked[:_MAX_AXES]
    if len(shown) < 2 or len(scored.rows) < 3:
        return []
    kept = [one for one in scored.parameters if one in shown]
    metric = Parameter(key="metric", label=scored.label, values=scored.scores)
    axes = [*kept, metric]
    heights = [_heights(one) for one in axes]
    traces = []
    groups = _groups(scored)
    hover = scored.hover
    for number, members in enumerate(groups):
        xs: list[Any] = []
        ys: list[Any] = []
        texts: list[Any] = []
        for member in members:
            xs += [*range(len(axes)), None]
            ys += [*(one[member] for one in heights), None]
            texts += [escape(f"{hover[member]}: {scored.scores[member]:.4g}")] * len(axes) + [None]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": xs,
                "y": ys,
                "text": texts,
                "hovertemplate": "%{text}<extra></extra>",
                "name": _group_name(scored, members),
                "line": {"width": 1.5},
                "opacity": 0.35 + 0.5 * number / max(1, len(groups) - 1),
                "meta": {"rank": number / max(1, len(groups) - 1)},
            }
        )
    left_out = len(scored.parameters) - len(kept)
    return [
        PageChart(
            id="parallel",
            title="Parallel coordinates",
            summary=f"{len(scored.rows)} trials as lines through {len(kept)} parameters to "
            f"{scored.label}. Best: {_best(scored, hover)}.",
            notes=[f"{left_out} less important parameters are left out."] * bool(left_out),
            traces=traces,
            layout={
                "xaxis": {
                    "tickvals": list(range(len(axes))),
                    "ticktext": [escape(one.label) for one in axes],
                    "range": [-0.15, len(axes) - 0.6],
                    "showgrid": True,
                    "zeroline": False,
                },
                "yaxis": {"visible": False, "range": [-0.08, 1.08]},
                "showlegend": True,
                "hovermode": "closest",
                "annotations": [
                    note for place, one in enumerate(axes) for note in _ticks(one, place)
                ],
            },
        )
    ]


def _best(scored: Scored, hover: Sequence[str]) -> str:
    choose = max if scored.maximize else min
    best = choose(range(len(scored.rows)), key=lambda number: scored.scores[number])
    return f"{hover[best]} with {scored.scores[best]:.4g}"


def _groups(scored: Scored) -> list[list[int]]:
    """Return the numbers of the trials in groups of equal size by their metric, the best last."""
    sign = 1 if scored.maximize else -1
    order = sorted(range(len(scored.rows)), key=lambda number: sign * scored.scores[number])
    number = min(_GROUPS, len(order))
    ends = [len(order) * (n + 1) // number for n in range(number)]
    return [order[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def _group_name(scored: Scored, members: Sequence[int]) -> str:
    values = [scored.scores[member] for member in members]
    return f"{min(values):.4g} to {max(values):.4g}"


def _positions(one: Parameter) -> dict[str, float]:
    """Return where each value is on an axis, 0..1, by its ``repr``."""
    levels = one.levels
    if not one.is_number:
        return {repr(level): n / max(1, len(levels) - 1) for n, level in enumerate(levels)}
    scale = math.log if one.is_log else float
    low, high = scale(levels[0]), scale(levels[-1])
    width = high - low
    return {repr(each): (scale(each) - low) / width if width else 0.5 for each in levels}


def _heights(one: Parameter) -> list[float]:
    """Return where each trial crosses an axis: 0..1."""
    found = _positions(one)
    return [found[repr(value)] for value in one.values]


def _ticks(one: Parameter, place: int) -> list[dict[str, Any]]:
    """Return texts beside an axis: its values, or the ends where there are many."""
    levels, positions = one.levels, _positions(one)
    if len(levels) > MAX_TICKS // 2 and one.is_number:
        levels = [levels[0], levels[-1]]
    elif len(levels) > MAX_TICKS:
        levels = levels[:: math.ceil(len(levels) / MAX_TICKS)]
    return [
        {
            "x": place,
            "y": positions[repr(value)],
            "text": escape(_short(format_plain(value))),
            "showarrow": False,
            "xanchor": "left",
            "xshift": 4,
            "font": {"size": 11},
        }
        for value in levels
    ]


def _short(text: str) -> str:
    return text if len(text) <= 16 else f"{text[:15]}…"
