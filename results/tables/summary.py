"""Build the summary tables of a sweep, which the terminal and every export show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from results.statistics import BestComparison
from results.storage.manifest import Manifest
from results.storage.manifest_parts import ReportTable
from results.storage.reading import Sweep
from results.tables.captions import explain, explain_hidden, explain_selection
from results.tables.cell_text import format_interval as format_interval
from results.tables.cell_text import format_plain as format_plain
from results.tables.cell_text import format_value as format_value
from results.tables.cell_text import id_digits
from results.tables.cell_text import interval_cell as interval_cell
from results.tables.cell_text import label_signs as label_signs
from results.tables.cell_text import main_cell as main_cell
from results.tables.cell_text import metric_cell as metric_cell
from results.tables.cell_text import report_cell as report_cell
from results.tables.make_rows import by_configuration, make_row, params_key
from results.tables.marks import mark_best, mark_front
from results.tables.row_selection import EVERYTHING, RowSelection
from results.tables.row_values import row_values
from results.tables.rows import SummaryRow as SummaryRow
from results.tables.rows import SummaryTable as SummaryTable
from results.tables.scores import Scores as Scores
from results.tables.search import describe_lines
from results.text import plural
from tasks.contract import Column

MAX_ROWS = 25  # rows of a grid or a search that are shown without --all


def summarize(
    sweep: Sweep,
    max_rows: int | None = MAX_ROWS,
    *,
    published: bool = True,
    selection: RowSelection = EVERYTHING,
) -> list[SummaryTable]:
    """Return the tables of a sweep: those of the paper, or one of all configurations, best first.

    Args:
        sweep: the sweep.
        max_rows: rows of a grid or a search that are shown; None for all.
        published: whether to show the published numbers.
        selection: the rows and columns that the user chose. Marks and tests are over all rows.

    Raises:
        RequestError: if ``selection`` names no column.
    """
    if selection != EVERYTHING:
        return _summarize(sweep, max_rows, published, selection)
    key = ("summaries", max_rows, published)  # several reports of one command need the same
    return list(sweep.compute_once(key, lambda: _summarize(sweep, max_rows, published, selection)))


def _summarize(
    sweep: Sweep, max_rows: int | None, published: bool, selection: RowSelection
) -> list[SummaryTable]:
    manifest = sweep.manifest
    if manifest.tables:
        trials = sweep.current_rows()
        scores = Scores(sweep, manifest.metric.name)
        planned = manifest.tables if published else map(_without_numbers, manifest.tables)
        tables = [_report_table(manifest, each, trials, scores, selection) for each in planned]
        first = next((t for t in tables if any(row.reported for row in t.rows)), None)
        if first and manifest.published:
            first.caption.insert(0, published_source(manifest))
    else:
        rows, tested = sweep.compute_once("ranked", lambda: _ranked(sweep))
        tables = [_open_table(manifest, rows, tested, max_rows, selection)]
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


def _report_table(
    manifest: Manifest,
    table: ReportTable,
    trials: Sequence[Mapping[str, Any]],
    scores: Scores,
    selection: RowSelection,
) -> SummaryTable:
    grouped = by_configuration(trials)
    main_key = manifest.main_key
    rows: dict[str, SummaryRow] = {}
    found: dict[str, dict[int, Mapping[str, Any]]] = {}
    for planned in table.rows:
        key = params_key(planned.params)
        if key not in rows:  # equal configurations share a row
            found[key] = {s: r for s, r in grouped.get(key, {}).items() if s in manifest.seeds}
            rows[key] = make_row(planned.params, found[key], manifest, scores)
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
    every = list(rows.values())
    shown = _select(every, selection, manifest)
    note += explain_selection(selection, len(shown), len(every))
    hidden = _left_out(every, shown)
    return _table(manifest, table.title, shown, has_report, note, tested, selection, hidden)


def _ranked(sweep: Sweep) -> tuple[list[SummaryRow], BestComparison | None]:
    """Return the rows of all configurations, best first, and how the best one was compared."""
    manifest = sweep.manifest
    scores = Scores(sweep, manifest.metric.name)
    sign = -1.0 if manifest.maximize else 1.0
    pairs = []
    for found in by_configuration(sweep.current_rows()).values():
        first = next(iter(found.values()))
        params = {k.removeprefix("param."): v for k, v in first.items() if k.startswith("param.")}
        pairs.append((make_row(params, found, manifest, scores), found))
    main_key = manifest.main_key

    has_front = bool(manifest.search and manifest.search.metrics)
    mark_front([row for row, _ in pairs], manifest)

    def order(pair: tuple[SummaryRow, Any]) -> tuple[bool, bool, float, str]:
        row, _ = pair
        value = row.metrics.get(main_key, math.nan)
        known = sign * value if value == value else 0.0
        is_behind = has_front and not row.on_front
        # Break ties by the parameters, because the order of trials changes when they run again.
        return (is_behind, bool(row.status) or math.isnan(value), known, params_key(row.params))

    pairs.sort(key=order)
    rows = [row for row, _ in pairs]
    return rows, mark_best(rows, [found for _, found in pairs], manifest, scores)


def _open_table(
    manifest: Manifest,
    rows: Sequence[SummaryRow],
    tested: BestComparison | None,
    max_rows: int | None,
    selection: RowSelection,
) -> SummaryTable:
    has_front = bool(manifest.search and manifest.search.metrics)
    if has_front and max_rows is not None:
        max_rows = max(max_rows, sum(row.on_front for row in rows))
    chosen = _select(rows, selection, manifest)
    shown = chosen if selection.limit is not None else chosen[:max_rows]
    note = [
        *explain_selection(selection, len(chosen), len(rows)),
        *explain_hidden(len(chosen) - len(shown)),
        *describe_lines(manifest.search),
    ]
    leading = "Pareto front" if has_front else "best"
    order_text = f"by {selection.sort}" if selection.sort else f"{leading} first"
    title = f"{manifest.task}: {manifest.name}, {_count(len(rows), manifest)}, {order_text}"
    hidden = _left_out(rows, shown)
    return _table(manifest, title, shown, False, note, tested, selection, hidden)


def _select(
    rows: Sequence[SummaryRow], selection: RowSelection, manifest: Manifest
) -> list[SummaryRow]:
    if selection.is_empty or not rows:
        return list(rows)
    values = {id(row): row_values(row, manifest.main_key) for row in rows}
    names = list(dict.fromkeys(name for record in values.values() for name in record))
    return selection.rows(rows, names, lambda row: values[id(row)])


def _left_out(rows: Sequence[SummaryRow], shown: Sequence[SummaryRow]) -> list[SummaryRow]:
    kept = {id(row) for row in shown}
    return [row for row in rows if id(row) not in kept]


def _count(number: int, manifest: Manifest) -> str:
    """Return ``3 configurations``, or ``3 of 27 configurations`` if some have no trial yet."""
    planned = (manifest.num_trials or 0) // max(1, len(manifest.seeds))
    text = plural(max(number, planned), "configuration")
    return f"{number} of {text}" if number < planned else text


def _table(
    manifest: Manifest,
    title: str,
    rows: list[SummaryRow],
    has_report: bool,
    note: list[str],
    tested: BestComparison | None,
    selection: RowSelection,
    hidden: Sequence[SummaryRow],
) -> SummaryTable:
    names = list(dict.fromkeys(name for row in rows for name in row.params))
    varying = [n for n in names if len({params_key({n: r.params.get(n)}) for r in rows}) > 1]
    known = manifest.columns_by_key
    order = [k.removeprefix("param.") for k in known if k.startswith("param.")]
    varying.sort(key=lambda n: order.index(n) if n in order else len(order))
    params = [known.get(f"param.{n}", Column(key=f"param.{n}", label=n)) for n in varying]
    main_key = manifest.main_key
    metrics = [c for k, c in known.items() if k.startswith("metric.") and k != main_key]
    keys = [f"param.{name}" for name in names or manifest.params]
    goals = manifest.search.metrics if manifest.search else {}
    wanted = selection.column_names([*keys, *(k for k in known if k.startswith("metric."))])
    if wanted is None:
        measured = {key for row in rows for key in row.metrics}  # such as no CLIPScore
        metrics = [
            column
            for column in metrics
            if (not column.detail or column.key.removeprefix("metric.") in goals)
            and (column.key in measured or not measured)
        ]
        metrics.sort(key=lambda c: c.key.removeprefix("metric.") not in goals)
    else:
        columns = [known.get(key, Column(key=key, label=key[6:])) for key in wanted]
        params = [column for column in columns if column.key.startswith("param.")]
        metrics = [c for c in columns if c.key.startswith("metric.") and c.key != main_key]
    same = {n: rows[0].params[n] for n in names if rows and n not in varying}
    fixed = ", ".join(f"{n} {format_plain(v)}" for n, v in same.items() if v is not None)
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
        chosen=wanted,
    )
