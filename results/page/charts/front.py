"""The metrics of a Pareto front: every configuration is a point, those on the front have a color.

Each chart shows the first metric and one other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.page.charts.chart import PageChart, axis, escape
from results.storage.manifest import Manifest
from results.tables.cell_text import format_plain, heading
from results.tables.rows import SummaryRow, SummaryTable
from results.text import listed
from tasks.contract import Column


def front_charts(manifest: Manifest, tables: Sequence[SummaryTable]) -> list[PageChart]:
    """Return a chart for each metric but the first; none if the sweep has no front."""
    columns = [manifest.columns_by_key[f"metric.{name}"] for name in manifest.objectives]
    rows = {
        repr(sorted(row.params.items())): row
        for table in tables
        for row in table.rows
        if all(column.key in row.metrics for column in columns) and not row.status
    }
    if len(rows) < 2:
        return []
    return [
        _front_chart(f"front-{n}" if n else "front", (columns[0], other), columns, [*rows.values()])
        for n, other in enumerate(columns[1:])
    ]


def _front_chart(
    name: str, shown: Sequence[Column], columns: Sequence[Column], rows: Sequence[SummaryRow]
) -> PageChart:
    x, y = shown
    on_front = sorted((row for row in rows if row.on_front), key=lambda row: row.metrics[x.key])
    others = [row for row in rows if not row.on_front]
    # The front of more than two metrics is no line.
    mode = "lines+markers" if len(columns) == 2 else "markers"
    traces = [
        _points("others", others, shown, {"mode": "markers", "meta": {"color": 1}}),
        _points("front", on_front, shown, {"mode": mode, "meta": {"color": 0}}),
    ]
    both = "both" if len(columns) == 2 else "all of them"
    return PageChart(
        id=name,
        title=f"{y.label} and {x.label}",
        summary=f"{len(on_front)} of {len(rows)} configurations are on the Pareto front of "
        f"{listed([column.label for column in columns])}: no other is better in {both}.",
        notes=["Means over seeds. ◆ in the tables marks the configurations on the front."],
        traces=[trace for trace in traces if trace["x"]],
        layout={
            "xaxis": axis(heading(x)),
            "yaxis": axis(heading(y)),
            "showlegend": True,
            "hovermode": "closest",
        },
    )


def _points(
    name: str, rows: Sequence[SummaryRow], columns: Sequence[Column], style: Mapping[str, Any]
) -> dict[str, Any]:
    scales = [100 if column.format == "percent" else 1 for column in columns]
    xs, ys = (
        [scale * row.metrics[column.key] for row in rows]
        for column, scale in zip(columns, scales, strict=True)
    )
    return {
        "type": "scatter",
        "name": name,
        "x": xs,
        "y": ys,
        "text": [escape(_describe(row)) for row in rows],
        "hovertemplate": "%{text}: %{x:.4g}, %{y:.4g}<extra></extra>",
        "marker": {"size": 9},
        "line": {"width": 1.5},
        **style,
    }


def _describe(row: SummaryRow) -> str:
    return ", ".join(f"{name} {format_plain(value)}" for name, value in row.params.items())
