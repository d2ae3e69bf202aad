"""Collect the content to export: the tables of a sweep or a comparison, and pictures."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from results.figures.charts import rank, short_id, trial_charts
from results.figures.sweep_charts import sweep_charts
from results.render.claims_table import claims_table
from results.storage.reading import Sweep
from results.tables.details import DetailTable, details
from results.tables.looks import final_table, read_looks
from results.tables.row_selection import EVERYTHING, RowSelection
from results.tables.summary import MAX_ROWS, SummaryTable, summarize
from tasks.contract import SweepError

Tables = SummaryTable | DetailTable
_MAX_NAME = 80  # maximum characters of a table's name


@dataclass(frozen=True, kw_only=True)
class Export:
    """One table, with a name that is unique in its document and valid as a file name."""

    task: str
    sweep: str
    name: str
    table: Tables


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure with its media type, or the reason why it cannot be drawn."""

    title: str
    media_type: str = ""
    blob: bytes = b""
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Document:
    """All tables of a sweep or a comparison. ``draw`` returns pictures, which takes seconds."""

    task: str
    sweep: str
    tables: Sequence[Export]
    draw: Callable[[], Sequence[Picture]] = field(default=lambda: [])


def make_document(
    task: str,
    sweep: str,
    tables: Sequence[tuple[str, Tables]],
    draw: Callable[[], Sequence[Picture]] = lambda: [],
) -> Document:
    """Create a document from named tables. Repeated names get a number."""
    taken: dict[str, int] = {}
    named = []
    for name, table in tables:
        taken[name] = taken.get(name, 0) + 1
        unique = name if taken[name] == 1 else f"{name}-{taken[name]}"
        named.append(Export(task=task, sweep=sweep, name=unique, table=table))
    return Document(task=task, sweep=sweep, tables=named, draw=draw)


def sweep_document(
    sweep: Sweep,
    max_rows: int | None = MAX_ROWS,
    *,
    published: bool = True,
    selection: RowSelection = EVERYTHING,
) -> Document:
    """Return everything that ``report`` shows, with or without published numbers and claims."""
    manifest = sweep.manifest
    summaries = summarize(sweep, max_rows, published=published, selection=selection)
    is_planned = bool(manifest.tables)  # otherwise one table over all configurations
    tables: list[tuple[str, Tables]] = [
        (slug(table.title) if is_planned else "configurations", table) for table in summaries
    ]
    tables += [(slug(table.title), table) for table in details(sweep, summaries)]
    final = final_table(sweep, read_looks(sweep))
    tables += [("final", final)] if final else []
    claims = claims_table(sweep) if published else None
    tables += [("claims", claims)] if claims else []
    return make_document(manifest.task, manifest.name, tables, lambda: draw_pictures_of(sweep))


def slug(title: str) -> str:
    """Convert a title to a file name of lowercase letters, digits and dashes."""
    plain = re.sub(r"\([^)]*\)", "", title).lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_MAX_NAME].strip("-") or "table"


def draw_pictures_of(sweep: Sweep) -> list[Picture]:
    """Draw curves of a sweep's best configurations, and charts and samples of the best trial."""
    best = [row for row in rank(sweep, sweep.current_rows()) if row["status"] != "failed"][:1]
    pictures = _curves(sweep)
    for row in best:
        from results.figures.drawing import draw
        from results.figures.trial_pictures import draw_pictures

        title = f"Best trial, {short_id(row)}"
        own = [chart for chart in trial_charts(sweep, row) if len(chart.lines) > 1]
        if own:
            drawn = draw(own, sweep.manifest.step_unit, "svg")
            pictures.append(Picture(title=title, media_type="image/svg+xml", blob=drawn))
        try:
            sheet = draw_pictures(sweep, row)
        except SweepError as error:
            pictures.append(Picture(title=title, error=str(error)))
            continue
        if sheet:
            title = f"{title}: samples"
            pictures.append(Picture(title=title, media_type="image/png", blob=sheet))
    return pictures


def _curves(sweep: Sweep) -> list[Picture]:
    try:
        charts = sweep_charts(sweep, sweep.current_rows())
    except SweepError:  # no trial has two steps
        return []
    from results.figures.drawing import draw

    x_label = sweep.manifest.step_unit
    return [
        Picture(
            title=f"{chart.label} by {x_label}",
            media_type="image/svg+xml",
            blob=draw([chart], x_label, "svg"),
        )
        for chart in charts
    ]
