"""A bar for each parameter: how much of the main metric's variance it explains."""

from __future__ import annotations

from results.page.charts.chart import PageChart, axis, escape
from results.page.charts.scores import Scored
from results.statistics.importance import MAX_LEVELS


def importance_chart(scored: Scored) -> list[PageChart]:
    """Return the bars, the largest on top; none where no parameter can be judged."""
    found = scored.importances
    if not found:
        return []
    texts = [f"{one.label} {100 * share:.0f} %" for one, share in found]
    return [
        PageChart(
            id="importance",
            title="Parameter importance",
            summary=f"Share of the variance of {scored.label} that each parameter explains: "
            f"{', '.join(texts)}.",
            notes=[
                f"Share of the variance of {scored.label} between {len(scored.rows)} finished "
                "trials that a parameter explains by itself (epsilon squared; more than "
                f"{MAX_LEVELS} numbers form {MAX_LEVELS} groups of neighbors with about as many "
                "different numbers each). Effects of parameters together are not counted."
            ],
            traces=[
                {
                    "type": "bar",
                    "orientation": "h",
                    "x": [100 * share for _, share in reversed(found)],
                    "y": [escape(one.label) for one, _ in reversed(found)],
                    "hovertemplate": "%{y}: %{x:.1f} %<extra></extra>",
                    "meta": {"color": 0},
                }
            ],
            layout={
                "xaxis": axis("explained variance (%)", range=[0, 100]),
                "yaxis": {"type": "category", "automargin": True},
                "height": 90 + 32 * len(found),
            },
        )
    ]
