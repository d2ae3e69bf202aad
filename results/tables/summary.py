"""Build the summary tables of a sweep, which the terminal and every export show."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from results.statistics import BestComparison, estimate
from results.storage.manifest import Manifest
from results.storage.manifest_parts import ReportTable
from results.storage.reading import Sweep
from results.tables.captions import explain, explain_hidden
from results.tables.cell_text import format_interval as format_interval
from results.tables.cell_text import format_plain as format_plain
from results.tables.cell_text import format_value as format_value
from results.tables.cell_text import id_digits
from results.tables.cell_text import interval_cell as interval_cell
from results.tables.cell_text import label_signs as label_signs
from results.tables.cell_text import main_cell as main_cell
from results.tables.cell_text import metric_cell as metric_cell
from results.tables.cell_text import report_cell as report_cell
from results.tables.marks import mark_best, mark_front
from results.tables.rows import SummaryRow as SummaryRow
from results.tables.rows import SummaryTable as SummaryTable
from results.tables.scores import Scores as Scores
from results.tables.search import describe_lines
from results.text import plural
from tasks.contract import Column, Scalar

MAX_ROWS = 25  # rows of a grid or a search that are shown without --all
NOT_RUN = "not run"


def summarize(
    sweep: Sweep, max_rows: int | None = MAX_ROWS, *, published: bool = True
) -> list[SummaryTable]:
    """Return the tables of a sweep: those of the paper, or one of all configurations, best first.

    ``published=False`` omits the published numbers.
    """
    manifest = sweep.manifest
    trials = sweep.current_rows()
    scores = Scores(sweep, manifest.metric.name)
    if manifest.tables:
        planned = manifest.tables if published else map(_without_numbers, manifest.tables)
        tables = [_report_table(manifest, each, trials, scores) for each in planned]
        first = next((t for t in tables if any(row.reported for row in t.rows)), None)
        if first and manifest.published:
            first.caption.insert(0, published_source(manifest))
    else:
        tables = [_open_table(manifest, trials, scores, max_rows)]
    digits = id_digits(row["trial_id"] for row in sweep.rows())
    for table in tables:
        table.id_digits = digits
    return tables


def _without_numbers(table: ReportTable) -> ReportTable:
    rows = (replace(row, report={}, published={}, label=None) for row in table.rows)
    return replace(table, rows=tuple(rows))


def published_source(manifest: Manifest) -> str:
    """Name the models and data of the published numbers and of ours."""
    source = manifest.published
    assert source is not None
    return (
        f"Published numbers: {source.model} on {source.data}. "
        f"Ours: {manifest.model.name} on {manifest.data.name}, another model and other data."
    )


def _key(params: Mapping[str, Scalar]) -> str:
    return json.dumps(params, sort_keys=True)


def _by_configuration(
    trials: Sequence[Mapping[str, Any]],
) -> dict[str, dict[int, Mapping[str, Any]]]:
    grouped: dict[str, dict[int, Mapping[str, Any]]] = {}
    for row in trials:
        params = {k.removeprefix("param."): v for k, v in row.items() if k.startswith("param.")}
        grouped.setdefault(_key(params), {})[row["seed"]] = row
    return grouped


def _report_table(
    manifest: Manifest,
    table: ReportTable,
    trials: Sequence[Mapping[str, Any]],
    scores: Scores,
) -> SummaryTable:
    grouped = _by_configuration(trials)
    main_key = manifest.main_key
    rows: dict[str, SummaryRow] = {}
    found: dict[str, dict[int, Mapping[str, Any]]] = {}
    for planned in table.rows:
        key = _key(planned.params)
        if key not in rows:  # equal configurations share a row
            found[key] = {s: r for s, r in grouped.get(key, {}).items() if s in manifest.seeds}
            rows[key] = _row(planned.params, found[key], manifest, scores)
        rows[key].label = rows[key].label or planned.label or ""
        report = planned.report
        if main_key in report:
            rows[key].reported.append(report[main_key])
        rows[key].other_reported |= {k: v for k, v in report.items() if k != main_key}
        rows[key].other_published |= planned.published
    tested = mark_best(list(rows.values()), list(found.values()), manifest, scores)
    mark_front(list(rows.values()), manifest)
    note = [table.note] if table.note else []
    has_report = any(row.reported or row.label for row in rows.values())
    return _table(manifest, table.title, list(rows.values()), has_report, note, tested)


def _open_table(
    manifest: Manifest,
    trials: Sequence[Mapping[str, Any]],
    scores: Scores,
    max_rows: int | None,
) -> SummaryTable:
    sign = -1.0 if manifest.maximize else 1.0
    pairs = []
    for found in _by_configuration(trials).values():
        first = next(iter(found.values()))
        params = {k.removeprefix("param."): v for k, v in first.items() if k.startswith("param.")}
        pairs.append((_row(params, found, manifest, scores), found))
    main_key = manifest.main_key

    has_front = bool(manifest.search and manifest.search.metrics)
    mark_front([row for row, _ in pairs], manifest)

    def order(pair: tuple[SummaryRow, Any]) -> tuple[bool, bool, float, str]:
        row, _ = pair
        value = row.metrics.get(main_key, math.nan)
        known = sign * value if value == value else 0.0
        is_behind = has_front and not row.on_front
        # Break ties by the parameters, because the order of trials changes when they run again.
        return (is_behind, bool(row.status) or math.isnan(value), known, _key(row.params))

    pairs.sort(key=order)
    rows = [row for row, _ in pairs]
    tested = mark_best(rows, [found for _, found in pairs], manifest, scores)
    if has_front and max_rows is not None:
        max_rows = max(max_rows, sum(row.on_front for row in rows))
    hidden = rows[len(rows[:max_rows]) :]
    note = [*explain_hidden(len(hidden)), *describe_lines(manifest.search)]
    number = _count(len(rows), manifest)
    leading = "Pareto front" if has_front else "best"
    title = f"{manifest.task}: {manifest.name}, {number}, {leading} first"
    return _table(manifest, title, rows[:max_rows], False, note, tested, hidden)


def _count(number: int, manifest: Manifest) -> str:
    """Return ``3 configurations``, or ``3 of 27 configurations`` if some have no trial yet."""
    planned = (manifest.num_trials or 0) // max(1, len(manifest.seeds))
    text = plural(max(number, planned), "configuration")
    return f"{number} of {text}" if number < planned else text


def _row(
    params: Mapping[str, Scalar],
    found: Mapping[int, Mapping[str, Any]],
    manifest: Manifest,
    scores: Scores,
) -> SummaryRow:
    done = {seed: row for seed, row in sorted(found.items()) if row["status"] == "finished"}
    ids = [str(each["trial_id"]) for each in done.values()]
    row = SummaryRow(params=params, metrics={}, num_seeds=len(done), trial_ids=ids)
    row.all_ids = [str(each["trial_id"]) for _, each in sorted(found.items())]
    row.status, row.reason = _status(found, len(done), len(manifest.seeds))
    shown = done or _first_unfinished(found)
    for column in manifest.columns:
        if column.key.startswith("metric."):
            prefix = "best." if column.pick == "best" else "metric."
            stored = prefix + column.key.removeprefix("metric.")
            values = [r[stored] for r in shown.values() if r.get(stored) is not None]
            if values:
                row.metrics[column.key] = float(np.mean(values))
    main = manifest.main_key
    values = [r[main] for r in done.values() if r.get(main) is not None]
    if len(values) > 1:
        row.deviation = float(np.std(values, ddof=1))
    matrix = scores.matrix(ids)
    if matrix is not None:
        row.num_units = 0 if scores.are_metrics else len(matrix)
        found_estimate = estimate(matrix, scores.aggregate)
        row.estimate = None if math.isnan(found_estimate.low) else found_estimate
    return row


def _first_unfinished(found: Mapping[int, Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """Return only the trial that ``_status`` describes, as seeds may stop at different steps."""
    for status in ("stopped", "interrupted"):
        for seed, row in sorted(found.items()):
            if row["status"] == status:
                return {seed: row}
    return {}


def _status(
    found: Mapping[int, Mapping[str, Any]], num_done: int, num_seeds: int
) -> tuple[str, str]:
    """Return the status of a row, empty if all seeds finished, and the reason of a failure."""
    by_status: dict[str, Mapping[str, Any]] = {}
    for _, row in sorted(found.items()):
        by_status.setdefault(row["status"], row)
    reason = by_status["failed"]["reason"] or "" if "failed" in by_status else ""
    if num_done:
        return ("" if num_done >= num_seeds else f"{num_done}/{num_seeds} seeds"), reason
    if "failed" in by_status:
        return "failed", reason
    if "stopped" in by_status:
        return f"pruned@{by_status['stopped']['num_steps']}", ""
    if "interrupted" in by_status and by_status["interrupted"]["num_steps"]:
        return f"interrupted@{by_status['interrupted']['num_steps']}", ""
    return NOT_RUN, ""


def _table(
    manifest: Manifest,
    title: str,
    rows: list[SummaryRow],
    has_report: bool,
    note: list[str],
    tested: BestComparison | None,
    hidden: Sequence[SummaryRow] = (),
) -> SummaryTable:
    names = list(dict.fromkeys(name for row in rows for name in row.params))
    varying = [n for n in names if len({_key({n: r.params.get(n)}) for r in rows}) > 1]
    known = manifest.columns_by_key
    order = [k.removeprefix("param.") for k in known if k.startswith("param.")]
    varying.sort(key=lambda n: order.index(n) if n in order else len(order))
    params = [known.get(f"param.{n}", Column(key=f"param.{n}", label=n)) for n in varying]
    main_key = manifest.main_key
    metrics = [c for k, c in known.items() if k.startswith("metric.") and k != main_key]
    goals = manifest.search.metrics if manifest.search else {}
    metrics = [c for c in metrics if not c.detail or c.key.removeprefix("metric.") in goals]
    metrics.sort(key=lambda c: c.key.removeprefix("metric.") not in goals)
    fixed = ", ".join(
        f"{n} {format_plain(rows[0].params[n])}" for n in names if rows and n not in varying
    )
    return SummaryTable(
        title=title,
        params=params,
        metrics=metrics,
        main=manifest.main_column,
        has_report=has_report,
        rows=rows,
        caption=[
            *note,
            *explain(manifest, rows, tested, hidden),
            *([f"All rows{' shown' if hidden else ''}: {fixed}."] if fixed else []),
        ],
        num_hidden=len(hidden),
    )
