"""One sweep: its tables as in the terminal, charts, and every trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from results.export.cells import Column
from results.page.html import fill
from results.page.links import Links
from results.page.progress import done_and_planned, duration_text, seconds_left
from results.page.selection import Selection
from results.page.table import PageTable, make_table, page_table
from results.page.trials import trials_part
from results.render.claims_table import claims_table, errata_table
from results.render.failures import by_reason, seeds_text
from results.render.sweep_tables import shared_work
from results.storage.reading import Sweep
from results.storage.weights import describe_weights
from results.tables.cell_text import format_value, id_digits
from results.tables.details import details
from results.tables.facts import sweep_facts
from results.tables.looks import final_table, read_looks
from results.tables.overview import Overview
from results.tables.summary import MAX_ROWS, summarize

_STAGES = 200  # shown


@dataclass(frozen=True, kw_only=True)
class SweepHead:
    """What is above a sweep's tables."""

    title: str
    state: str
    runs: bool  # whether it runs, as far as can be seen
    best: str  # its main metric and the value; empty without one
    done: int
    planned: int | None
    left: str  # time, in words; empty if it does not run
    metric: str
    damaged: Sequence[str]


def sweep_head(sweep: Sweep, overview: Overview, now: datetime) -> SweepHead:
    """Return the state and progress of a sweep."""
    rows = sweep.current_rows()
    done, planned = done_and_planned(sweep.manifest, rows)
    runs = overview.state.startswith("running")
    left = seconds_left(sweep.manifest, rows, now) if runs else None
    return SweepHead(
        title=sweep.manifest.full_name,
        state=overview.state,
        runs=overview.is_running,
        best=_best(sweep, overview),
        done=done,
        planned=planned,
        left="" if left is None else duration_text(left),
        metric=sweep.manifest.metric.label,
        damaged=sorted(set(sweep.damaged)),
    )


def _best(sweep: Sweep, overview: Overview) -> str:
    manifest = sweep.manifest
    if overview.best_value is None:
        return ""
    return (
        f"{manifest.metric.label} {format_value(overview.best_value, manifest.main_column.format)}"
    )


def sweep_tables(sweep: Sweep, links: Links, max_rows: int | None = MAX_ROWS) -> list[PageTable]:
    """Return the tables that ``report`` prints: results, claims, known mistakes, the test split."""

    def trial_link(trial_id: str) -> str:
        return links.trial(sweep.manifest.task, sweep.manifest.name, trial_id)

    summaries = summarize(sweep, max_rows)
    tables = [page_table(table, trial_link) for table in summaries]
    others = [
        *details(sweep, summaries),
        claims_table(sweep, with_source=False),
        errata_table(sweep),
        final_table(sweep, read_looks(sweep)),
    ]
    return [*tables, *(page_table(table) for table in others if table)]


def failures_part(sweep: Sweep, links: Links) -> PageTable | None:
    """Return the reasons of failures, each with its first trial; None without failures."""
    failed = [row for row in sweep.current_rows() if row["status"] == "failed"]
    if not failed:
        return None
    digits = id_digits(row["trial_id"] for row in sweep.rows())
    task, name = sweep.manifest.task, sweep.manifest.name
    reasons = by_reason(failed)
    firsts = [rows[0]["trial_id"] for rows in reasons.values()]
    columns = [
        Column(heading="trial", cells=[first[:digits] for first in firsts]),
        Column(heading="trials", cells=[str(len(rows)) for rows in reasons.values()]),
        Column(heading="seed", cells=[seeds_text(rows) for rows in reasons.values()]),
        Column(heading="reason", cells=list(reasons)),
    ]
    links_of: list[Sequence[str]] = [[""] * len(firsts) for _ in columns]
    links_of[0] = [links.trial(task, name, first) for first in firsts]
    return make_table("Failed trials", columns, links=links_of)


def stages_part(sweep: Sweep) -> PageTable | None:
    """Return the shared stages of all runs, most used first; None without stages."""
    stages = sorted(sweep.stages.to_pylist(), key=lambda row: -row["uses"])[:_STAGES]
    if not stages:
        return None
    seconds = [row["seconds"] for row in stages]
    columns = [
        Column(heading="stage", cells=[row["label"] for row in stages]),
        Column(heading="source", cells=[row.get("source") or "-" for row in stages]),
        Column(heading="s", cells=["-" if s is None else f"{s:.2f}" for s in seconds]),
        Column(heading="uses", cells=[str(row["uses"]) for row in stages]),
    ]
    return make_table("Shared stages", columns, caption=[shared_work(sweep)])


def sweep_page(
    sweep: Sweep,
    overview: Overview,
    selection: Selection,
    links: Links,
    now: datetime,
    *,
    charts_url: str = "",
    running_url: str = "",
    **more: Any,
) -> str:
    """Return the page of a sweep. Its charts come from ``charts_url`` once the tables are shown.

    Args:
        sweep: the sweep.
        overview: its state.
        selection: which trials, in which order.
        links: where links lead.
        now: the time, for the time left.
        charts_url: the address of the charts' data.
        running_url: the address of the trials that run now.
        more: further values of the template.
    """
    return fill(
        "sweep.html",
        **sweep_values(sweep, overview, selection, links, now),
        charts_url=charts_url,
        running_url=running_url,
        **more,
    )


def sweep_values(
    sweep: Sweep, overview: Overview, selection: Selection, links: Links, now: datetime
) -> Mapping[str, Any]:
    """Return what the templates of a sweep show, on a served page and in a file."""
    return {
        "head": sweep_head(sweep, overview, now),
        "tables": sweep_tables(sweep, links, None if selection.all_rows else MAX_ROWS),
        "failures": failures_part(sweep, links),
        "trials": trials_part(sweep, selection, links),
        "stages": stages_part(sweep),
        "facts": sweep_facts(sweep, describe_weights(sweep, None)),
        "links": links,
    }
