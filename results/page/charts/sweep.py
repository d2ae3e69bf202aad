"""All charts of a sweep's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.page.charts.chart import PageChart
from results.page.charts.curves import sweep_curves
from results.page.charts.front import front_charts
from results.page.charts.importance import importance_chart
from results.page.charts.parallel import parallel_chart
from results.page.charts.scores import scored
from results.page.charts.slices import contour_chart, slice_charts
from results.page.charts.timeline import timeline_chart
from results.storage.reading import Sweep, is_current
from results.tables.summary import summarize


def sweep_page_charts(sweep: Sweep, rows: Sequence[Mapping[str, Any]]) -> list[PageChart]:
    """Return the charts of some of a sweep's trials: those that can be drawn of them.

    The front is of all trials, as in the tables.
    """
    current = [row for row in rows if is_current(row, sweep.manifest)]
    found = scored(sweep, current)
    tables = summarize(sweep, max_rows=None) if sweep.manifest.objectives else []
    return [
        *sweep_curves(sweep, current),
        *front_charts(sweep.manifest, tables),
        *importance_chart(found),
        *parallel_chart(found),
        *contour_chart(found),
        *slice_charts(found),
        *timeline_chart(current),
    ]
