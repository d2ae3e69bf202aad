"""The two metrics of a task's front: every configuration is a point, the front is a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.page.charts.chart import PageChart, axis, escape
from results.storage.manifest import Manifest
from results.tables.cell_text import format_plain, heading
from results.tables.rows import SummaryRow, SummaryTable
from tasks.contract import Column


def front_chart(manifest: Manifest, tables: Sequence[SummaryTable]) -> list[PageChart]:
    """Return the configurations of these tables; none where the task has no front."""
    if not manifest.front:
        return []
    columns = [manifest.columns_by_key[f"metric.{name}"] for name in manifest.front]
    rows = {
        repr(sorted(row.params.items())): row
        for table in tables
        for row in table.rows
        if all(column.key in row.metrics for column in columns) and not row.status
    }
    if len(rows) < 2:
        return []
    x, y = columns
    on_front = sorted(
        (row for row in rows.values() if row.on_front), key=lambda row: row.metrics[x.key]
    )
    others = [row for row in rows.values() if not row.on_front]
    traces = [
        _points("others", others, columns, {"mode": "markers", "meta": {"color": 1}}),
        _points("front", on_front, columns, {"mode": "lines+markers", "meta": {"color": 0}}),
    ]
    return [
        PageChart(
            id="front",
            title=f"{y.label} and {x.label}",
            summary=f"{len(on_front)} of {len(rows)} configurations are on the front of "
            f"{x.label} and {y.label}: no other is better in both.",
            notes=["Means over seeds. ◆ in the tables marks the configurations on the front."],
            traces=[trace for trace in traces if trace["x"]],
            layout={
                "xaxis": axis(heading(x)),
                "yaxis": axis(heading(y)),
                "showlegend": True,
                "hovermode": "closest",
            },
        )
    ]


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
