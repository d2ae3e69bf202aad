"""Render everything that ``report`` prints for a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from results.render.claims_table import ClaimsView, claims_table
from results.render.detail_view import DetailView as DetailView
from results.render.failures import Failures
from results.render.summary_view import SummaryView as SummaryView
from results.render.wrapping import Prose
from results.storage.reading import Sweep
from results.tables.details import details
from results.tables.looks import final_table, read_looks
from results.tables.row_selection import EVERYTHING, RowSelection
from results.tables.summary import MAX_ROWS, summarize


def render(
    sweep: Sweep,
    max_rows: int | None = MAX_ROWS,
    *,
    published: bool = True,
    selection: RowSelection = EVERYTHING,
) -> RenderableType:
    """Render everything that ``report`` prints; the arguments are those of ``summarize``."""
    parts: list[RenderableType] = []
    tables = summarize(sweep, max_rows, published=published, selection=selection)
    for table in tables:
        parts += [Text(), SummaryView(table)]
    for detail in details(sweep, tables):
        parts += [Text(), DetailView(detail)]
    claims = claims_table(sweep, with_source=False) if published else None
    if claims is not None:
        parts += [Text(), ClaimsView(claims, only_tested=True)]
    final = final_table(sweep, read_looks(sweep))
    if final is not None:
        parts += [Text(), DetailView(final)]
    failed = [row for row in sweep.current_rows() if row["status"] == "failed"]
    if failed:
        parts += [Text(), Failures(failed, sweep)]
    shared = shared_work(sweep)
    if shared:
        parts += [Text(), Prose([shared])]
    damaged = [f"damaged, ignored: {part}" for part in sorted(set(sweep.damaged))]
    return Group(*parts, Prose(damaged, "bold red"))


def shared_work(sweep: Sweep) -> str:
    """Describe in one line the stages that trials of all runs shared, and the time saved."""
    stages = [stage for stage in sweep.stages.to_pylist() if _was_used(stage)]
    if not stages:
        return ""
    duration: dict[str, float] = {}  # the seconds of the last time that a stage was computed
    for stage in stages:
        if stage["seconds"] is not None:
            duration[stage["key"]] = stage["seconds"]
    computed = [stage["seconds"] for stage in stages if stage["seconds"] is not None]
    saved = sum(duration.get(s["key"], 0.0) * s["uses"] for s in stages) - sum(computed)
    kept = sum(stage.get("source") == "kept" for stage in stages)
    cached = len(stages) - len(computed) - kept
    uses = sum(stage["uses"] for stage in stages)
    times = "not used yet" if not uses else "used once" if uses == 1 else f"used {uses} times"
    parts = [
        f"{len(computed)} {'stage' if len(computed) == 1 else 'stages'} computed in "
        f"{_duration(sum(computed))}",
        *([f"{kept} kept from an earlier run"] if kept else []),
        *([f"{cached} read from the cache"] if cached else []),
        times,
    ]
    line = f"Shared work: {', '.join(parts)}"
    return f"{line}; {_duration(max(saved, 0.0))} saved." if uses else f"{line}."


def _was_used(stage: Mapping[str, Any]) -> bool:
    """Return whether a stage was computed or read. Schema 1 also lists planned stages."""
    is_known = stage.get("source") is not None or stage["seconds"] is not None
    return bool(is_known or stage["uses"])


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
