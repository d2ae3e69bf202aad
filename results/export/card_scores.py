"""Build the table of an exported trial's scores, for its model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from results.storage.manifest import Manifest
from results.storage.reading import Sweep
from results.tables.details import DetailTable
from results.tables.selection import Selection
from results.tables.source_names import short_name
from results.tables.summary import format_interval, format_value
from results.text import plural
from tasks.contract import Column


def scores_table(sweep: Sweep, selection: Selection) -> DetailTable:
    """Return the trial's scores, and the mean, interval and published numbers of its row."""
    manifest, trial, row = sweep.manifest, selection.trial, selection.row
    main = manifest.main_key
    several = row is not None and row.num_seeds > 1
    headings = ["metric", f"this trial (seed {trial['seed']})"]
    headings += [f"mean of {row.num_seeds} seeds"] if several and row else []
    has_interval = row is not None and row.estimate is not None
    headings += ["95 %"] if has_interval else []
    has_published = row is not None and bool(row.reported or row.other_reported)
    headings += ["published"] if has_published else []
    rows = []
    for column in _metric_columns(manifest, main):
        key, form = column.key, column.format
        stored = key if column.pick == "last" else f"best.{key.removeprefix('metric.')}"
        if trial.get(stored) is None:
            continue
        cells = [_heading(column), format_value(trial[stored], form)]
        if row is not None:
            deviation = row.deviation if key == main else None
            spread = "" if deviation is None else f" ± {format_value(deviation, form)}"
            cells += [format_value(row.metrics.get(key), form) + spread] if several else []
            interval = format_interval(row.estimate, form) if key == main else ""
            cells += [interval] if has_interval else []
            numbers = row.reported if key == main else [row.other_reported.get(key)]
            known = [format_value(number, form) for number in numbers if number is not None]
            cells += [", ".join(known) or "-"] if has_published else []
        rows.append(cells)
    caption = _results_caption(sweep, selection, has_interval, has_published)
    return DetailTable(title="Scores", headings=headings, rows=rows, caption=caption)


def _metric_columns(manifest: Manifest, main: str) -> list[Column]:
    """Return the columns of metrics, the main one first."""
    columns = [c for c in manifest.columns if c.key.startswith("metric.")]
    shown = [c for c in columns if not c.detail]
    return sorted(shown, key=lambda column: column.key != main)


def _heading(column: Column) -> str:
    return f"{column.label}{' %' if column.format == 'percent' else ''}"


def _results_caption(
    sweep: Sweep, selection: Selection, has_interval: bool, has_published: bool
) -> list[str]:
    manifest, trial, row = sweep.manifest, selection.trial, selection.row
    lines = [_where_scored(trial)] if manifest.function is None else []
    if has_interval and row is not None and not row.num_units:
        lines.append(f"95 %: interval of {manifest.metric.label} over seeds.")
    elif has_interval and row is not None:
        unit = manifest.unit
        seeds = " and other seeds" if row.num_seeds > 1 else ""
        only = "" if seeds else "; one seed says nothing about other seeds"
        lines.append(
            f"95 %: interval of {manifest.metric.label} over {plural(row.num_units, unit)}"
            f"{seeds}{only}."
        )
    if has_published and manifest.published:
        source = manifest.published
        lines.append(f"Published: {source.model} on {source.data}, another model and other data.")
    return lines


def _where_scored(trial: Mapping[str, Any]) -> str:
    data, split = short_name(trial["data"]), trial.get("param.split")
    return f"Scored on {f'the split {split} of ' if split else ''}{data}."
