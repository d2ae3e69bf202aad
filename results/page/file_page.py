"""A sweep as one file that loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from results.figures.charts import rank
from results.page.charts.chart import charts_json
from results.page.charts.curves import trial_curves
from results.page.charts.sweep import sweep_page_charts
from results.page.html import asset, fill, plotly_script
from results.page.links import FileLinks
from results.page.page_images import NO_IMAGES, PageImages
from results.page.selection import Selection
from results.page.sweep_page import sweep_values
from results.page.trial_page import trial_values
from results.page.trials import trials_part
from results.storage.reading import Sweep
from results.tables.overview import Overview

FindImages = Callable[[Sweep, Mapping[str, Any]], PageImages]
MAX_TRIALS = 20  # that the file shows one by one, the best ones


def no_images(sweep: Sweep, trial: Mapping[str, Any]) -> PageImages:
    """Return no images."""
    return NO_IMAGES


def file_page(
    sweep: Sweep, overview: Overview, now: datetime, find_images: FindImages = no_images
) -> str:
    """Return the page of a sweep with all of its trials, and the best ones in full.

    Args:
        sweep: the sweep.
        overview: its state.
        now: the time at which the page is written.
        find_images: returns the images of the data set that the samples of a trial name.

    Raises:
        RequestError: if plotly is not installed.
    """
    script = plotly_script().read_text(encoding="utf-8")
    shown = _shown_trials(sweep)
    links = FileLinks(frozenset(row["trial_id"] for row in shown))
    values = dict(sweep_values(sweep, overview, Selection(all_rows=True), links, now))
    values["trials"] = trials_part(sweep, Selection(), links, max_rows=None)
    charts = sweep_page_charts(sweep, sweep.current_rows())
    return fill(
        "file.html",
        **values,
        sections=[
            {
                **trial_values(sweep, row, links, find_images(sweep, row)),
                "charts": charts_json(trial_curves(sweep, row)),
            }
            for row in shown
        ],
        charts=charts_json(charts),
        style=asset("page.css"),
        script=asset("page.js"),
        plotly=script.replace("</script", "<\\/script"),
        written=f"{now:%Y-%m-%d %H:%M} UTC",
    )


def _shown_trials(sweep: Sweep) -> Sequence[Mapping[str, Any]]:
    """Return the best trials."""
    return rank(sweep, sweep.current_rows())[:MAX_TRIALS]
