"""The page of a sweep and its charts, made once for each version of the sweep."""

from __future__ import annotations

from datetime import UTC, datetime

from orchestrator.serving.library import Held
from results.page.charts.chart import charts_json
from results.page.charts.sweep import sweep_page_charts
from results.page.links import ServedLinks
from results.page.selection import Selection
from results.page.sweep_page import sweep_page
from results.storage.reading import Sweep


def sweep_text(held: Held, selection: Selection) -> str:
    """Return the page of a sweep.

    Raises:
        StoreError: if the sweep is damaged.
    """

    def build(sweep: Sweep) -> str:
        links = ServedLinks()
        address = links.sweep(sweep.manifest.task, sweep.manifest.name)
        return sweep_page(
            sweep,
            held.overview,
            selection,
            links,
            datetime.now(UTC),
            charts_url=f"{address}/charts{_of_charts(selection)}",
            running_url=f"{address}/running",
            version=f'"{held.version}"',
        )

    return held.make(f"page{selection.query()}", build)


def charts_text(held: Held, selection: Selection) -> str:
    """Return the charts of the trials that pass the filters, as JSON.

    Raises:
        StoreError: if the sweep is damaged.
    """
    return held.make(
        f"charts{_of_charts(selection)}",
        lambda sweep: charts_json(sweep_page_charts(sweep, selection.choose(sweep.rows()))),
    )


def _of_charts(selection: Selection) -> str:
    """Return the query without what charts do not depend on."""
    return selection.query(page=1, sort="", all_rows=False)
