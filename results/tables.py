"""The tables as rich renderables, readable at 80 columns and fuller where there is room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from results.claims_table import ClaimsView, claims_table
from results.details import DetailTable, details
from results.reading import Sweep
from results.summary import (
    SummaryTable,
    format_plain,
    interval_cell,
    main_cell,
    metric_cell,
    report_cell,
    summarise,
)

_WORDS = ("row", "what", "configuration")  # headings of columns that hold text


class SummaryView:
    """A summary table that fits its console: further metrics as far as there is room."""

    def __init__(self, table: SummaryTable) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number in range(len(self._table.metrics), -1, -1):
            rendered = _render(self._table, number)
            wanted = Measurement.get(console, options.update(width=10_000), rendered).maximum
            if number == 0 or wanted <= options.max_width:
                break
        yield Text(self._table.title, style="bold")
        yield rendered
        hidden = [c["label"] for c in self._table.metrics[number:]]
        for line in self._table.caption:
            yield Text(line, style="dim")
        if hidden:
            yield Text(f"A wider terminal also shows {', '.join(hidden)}.", style="dim")


def _render(table: SummaryTable, num_metrics: int) -> Table:
    view = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for column in table.params:
        view.add_column(column["label"].replace(" ", "\n"), justify="right", no_wrap=True)
    unit = " %" if table.main["format"] == "percent" else ""
    label = f"{table.main['label']}{unit}".replace(" ", "\n", 1)
    view.add_column(label, justify="right", no_wrap=True)
    if any(row.estimate for row in table.rows):
        view.add_column("95 %", justify="right", no_wrap=True)
    if table.has_report:
        view.add_column("published", justify="right", no_wrap=True)
    for column in table.metrics[:num_metrics]:
        view.add_column(column["label"].replace(" ", "\n"), justify="right", no_wrap=True)
    if any(row.status for row in table.rows):
        view.add_column("status", overflow="fold")
    for row in table.rows:
        cells = [format_plain(row.params.get(_param(c))) for c in table.params]
        cells.append(main_cell(row, table))
        if any(r.estimate for r in table.rows):
            cells.append(interval_cell(row, table))
        if table.has_report:
            cells.append(report_cell(row, table))
        cells += [metric_cell(row, column) for column in table.metrics[:num_metrics]]
        if any(r.status for r in table.rows):
            cells.append(row.status)
        view.add_row(*cells, style="bold" if row.mark == "best" else None)
    return view


def _param(column: Mapping[str, Any]) -> str:
    return str(column["key"]).removeprefix("param.")


def render(sweep: Sweep, *, published: bool = True) -> RenderableType:
    """Everything ``report`` prints of one sweep; ``published=False`` hides published numbers."""
    parts: list[RenderableType] = []
    tables = summarise(sweep, published=published)
    for table in tables:
        parts += [Text(), SummaryView(table)]
    for detail in details(sweep, tables):
        parts += [Text(), DetailView(detail)]
    claims = claims_table(sweep, with_source=False) if published else None
    if claims is not None:
        parts += [Text(), ClaimsView(claims)]
    failed = [row for row in sweep.current_rows() if row["status"] == "failed"]
    if failed:
        parts += [Text(), _failures(failed)]
    shared = shared_work(sweep)
    if shared:
        parts += [Text(), Text(shared, style="dim")]
    parts += [
        Text(f"damaged, left out: {part}", style="bold red") for part in sorted(set(sweep.damaged))
    ]
    return Group(*parts)


class DetailView:
    """A detail table under its title, its explanation below."""

    def __init__(self, table: DetailTable) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self._table.title, style="bold")
        if self._table.rows:
            yield _render_detail(self._table)
        for line in self._table.caption:
            yield Text(line, style="dim")


def _render_detail(detail: DetailTable) -> Table:
    view = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for heading in detail.headings:
        view.add_column(heading, justify="left" if heading in _WORDS else "right")
    for row in detail.rows:
        view.add_row(*row)
    return view


def _failures(failed: list[dict[str, Any]]) -> Table:
    view = Table(title="Failed trials", box=box.SIMPLE_HEAD, title_justify="left")
    for heading in ("trial", "seed", "reason"):
        view.add_column(heading, overflow="fold")
    for row in failed:
        view.add_row(row["trial_id"], str(row["seed"]), row["reason"])
    return view


def shared_work(sweep: Sweep) -> str:
    """One line on what trials shared over all runs of a sweep, and what that saved."""
    stages = sweep.stages.to_pylist()
    uses = sum(stage["uses"] for stage in stages)
    if not uses:
        return ""
    took: dict[str, float] = {}  # what a stage took when it was last computed here
    for stage in stages:
        if stage["seconds"] is not None:
            took[stage["key"]] = stage["seconds"]
    computed = [stage["seconds"] for stage in stages if stage["seconds"] is not None]
    saved = sum(took.get(stage["key"], 0.0) * stage["uses"] for stage in stages) - sum(computed)
    kept = len(stages) - len(computed)
    from_cache = f", {kept} read from the cache" if kept else ""
    return (
        f"Shared work: {len(computed)} {'stage' if len(computed) == 1 else 'stages'} computed in "
        f"{_duration(sum(computed))}{from_cache}, used {'once' if uses == 1 else f'{uses} times'}; "
        f"{_duration(max(saved, 0.0))} not spent again."
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
