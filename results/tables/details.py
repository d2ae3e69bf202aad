"""Compare further published numbers of rows with ours: other metrics, steps and publications.

A row has those numbers by key:

    metric.<name>              the metric at the last step
    step.<at>.<name>           the metric at the step <at>
    first.<level>.<name>       the first step at which the metric is at least <level>
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from results.statistics import Estimate, estimate
from results.storage.reading import Sweep
from results.tables.cell_text import heading
from results.tables.summary import (
    Scores,
    SummaryRow,
    SummaryTable,
    format_interval,
    format_plain,
    format_value,
)
from tasks.contract import Column, Scalar


@dataclass(kw_only=True)
class DetailTable:
    """A table of text, such as one number per row: its name, ours, the interval, theirs."""

    title: str
    headings: list[str]
    rows: list[list[str]]
    caption: list[str]
    records: list[dict[str, Scalar]] = field(default_factory=list)  # the rows as plain values


@dataclass(frozen=True, kw_only=True)
class _Number:
    label: str
    ours: str = "-"
    interval: str = ""
    theirs: str
    value: float | None = None  # ours, unrounded
    estimate: Estimate | None = None


def details(sweep: Sweep, tables: Sequence[SummaryTable]) -> list[DetailTable]:
    """Return, for each table of a sweep, further numbers of the paper and of other publications."""
    found: list[DetailTable] = []
    planned = sweep.manifest.tables  # empty for a grid or a search
    for table, plan in zip(tables, planned, strict=False):
        report = [row.other_reported for row in table.rows]
        found += _detail(sweep, table, report, "published", "further numbers", "")
        published = [row.other_published for row in table.rows]
        source = plan.source
        found += _detail(
            sweep, table, published, "published there", "compared with another publication", source
        )
    return found


def _detail(
    sweep: Sweep,
    table: SummaryTable,
    theirs: Sequence[Mapping[str, float]],  # of each row of the table
    who: str,
    what: str,
    source: str,
) -> list[DetailTable]:
    rows = []
    records: list[dict[str, Scalar]] = []
    for row, wanted in zip(table.rows, theirs, strict=True):
        params = [
            f"{c.label} {format_plain(row.params[c.key.removeprefix('param.')])}"
            for c in table.params
        ]
        numbers = [_ours(sweep, row, key, value) for key, value in wanted.items()]
        if who == "published there" and not any(number.ours != "-" for number in numbers):
            continue  # there is nothing to compare with the paper's curve
        records += [
            _record(row, key, n, wanted[key]) for key, n in zip(wanted, numbers, strict=True)
        ]
        rows += [[", ".join(params), n.label, n.ours, n.interval, n.theirs] for n in numbers]
    if not rows:
        return []
    headings = ["configuration", "what", "ours", "95 %", who]
    shown = [
        column
        for column in range(len(headings))
        if not (column == 0 and len(table.rows) == 1)
        and not (column == 3 and not any(row[3] for row in rows))
    ]
    return [
        DetailTable(
            title=f"{table.title}: {what}",
            headings=[headings[column] for column in shown],
            rows=[[row[column] for column in shown] for row in rows],
            caption=[source] if source else [],
            records=records,
        )
    ]


def _record(row: SummaryRow, key: str, number: _Number, theirs: float) -> dict[str, Scalar]:
    """Return a number and the published one as plain values; ``number`` is its key."""
    bounds = number.estimate
    return {
        "trial_ids": " ".join(row.trial_ids),
        **{f"param.{name}": value for name, value in row.params.items()},
        "number": key,
        "label": number.label.replace(" %", ""),  # the number is in 0..1
        "ours": number.value,
        "interval_low": bounds.low if bounds else None,
        "interval_high": bounds.high if bounds else None,
        "published": theirs,
        "status": "not reached" if number.ours == "not reached" else "",
    }


def _ours(sweep: Sweep, row: SummaryRow, key: str, theirs: float) -> _Number:
    columns = sweep.manifest.columns_by_key
    kind, _, rest = key.partition(".")
    where, _, name = rest.rpartition(".") if kind != "metric" else ("", "", rest)
    column = columns.get(
        f"metric.{name}", Column(key=f"metric.{name}", label=name, format="number")
    )
    title, form = heading(column), column.format
    if kind == "metric":
        scores = Scores(sweep, name)
        matrix = scores.matrix(row.trial_ids)
        found = None if matrix is None else estimate(matrix, scores.aggregate)
        return _Number(
            label=title,
            ours=format_value(row.metrics.get(key), form),
            interval=format_interval(found, form),
            theirs=format_value(theirs, form),
            value=row.metrics.get(key),
            estimate=found,
        )
    curves = [_curve(sweep, trial_id, name) for trial_id in row.trial_ids]
    if kind == "step":
        values = [curve[int(where)] for curve in curves if int(where) in curve]
        mean = float(np.mean(values)) if values else None
        ours = format_value(mean, form)
        return _Number(
            label=f"{title}, step {where}",
            ours=ours,
            theirs=format_value(theirs, form),
            value=mean,
        )
    assert kind == "first", key
    level = float(where)
    firsts = [next((at for at in sorted(c) if c[at] >= level), None) for c in curves if len(c) > 1]
    reached = [at for at in firsts if at is not None]
    ours, value = "not reached" if firsts and len(reached) < len(firsts) else "-", None
    if reached and len(reached) == len(firsts):
        value = float(np.mean(reached))
        ours = f"{value:.4g}"
    unit = " %" if form == "percent" else ""
    return _Number(
        label=f"{column.label}: first step at {format_value(level, form)}{unit}",
        ours=ours,
        theirs=f"{theirs:.4g}",
        value=value,
    )


def _curve(sweep: Sweep, trial_id: str, name: str) -> dict[int, float]:
    """Return a metric of a trial by step."""
    values = ((row["at"], row.get(f"metric.{name}")) for row in sweep.steps_of(trial_id))
    return {at: value for at, value in values if value is not None}
