"""Compare two sweeps of one task: first in what they differ as a whole, then row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from results.compare.best import compare_best
from results.compare.differing import summarize_differences
from results.compare.matching import Match, match
from results.compare.rows import ComparedRow as ComparedRow
from results.compare.rows import Scorer, describe_difference, explain_scoring
from results.statistics import Estimate
from results.storage.manifest import Manifest
from results.storage.reading import Sweep
from results.tables.cell_text import heading
from results.tables.details import DetailTable
from results.tables.summary import (
    SummaryRow,
    format_interval,
    format_plain,
    format_value,
    summarize,
)
from results.text import plural
from tasks.contract import Column, RequestError

MARKS = {"better": "▲ ", "worse": "▼ ", "tie": "≈ ", "same": "= "}


@dataclass(kw_only=True)
class Comparison(DetailTable):
    """The rows as text, and the compared rows themselves."""

    names: tuple[str, str]
    main: Column
    params: list[Column]  # the columns of parameters
    compared: list[ComparedRow]  # rows of both sweeps, then of only the first, only the second


def compare(first: Sweep, second: Sweep, names: tuple[str, str]) -> tuple[DetailTable, DetailTable]:
    """Return two tables: in what the sweeps differ as a whole, and their configurations.

    The second table is a ``Comparison``, or the best and the spread of each sweep if they have no
    configuration in common.

    Raises:
        RequestError: if the sweeps have different tasks, or if one has no trials.
    """
    tasks = (first.manifest.task, second.manifest.task)
    if tasks[0] != tasks[1]:
        raise RequestError(
            f"{names[0]} is a sweep of {tasks[0]}, but {names[1]} of {tasks[1]}; "
            "compare two sweeps of one task"
        )
    rows = _rows(first), _rows(second)
    for name, found_rows in zip(names, rows, strict=True):
        if not found_rows:
            raise RequestError(f"{name} has no trials yet; run its sweep first")
    found = match(*rows)
    scorer = Scorer(first, second)
    if not found.pairs:
        above = summarize_differences((first, second), names, rows, found.differing)
        return above, compare_best(first.manifest, names, rows, scorer)
    compared = scorer.compare(found.pairs)
    compared += [scorer.describe(row, None) for row in found.only_first]
    compared += [scorer.describe(None, row) for row in found.only_second]
    above = summarize_differences((first, second), names, rows, found.differing)
    return above, _comparison(first, second, names, found, compared, scorer)


def _rows(sweep: Sweep) -> list[SummaryRow]:
    """Return the configurations that ``report`` shows and that have a trial, each once."""
    rows: dict[str, SummaryRow] = {}
    for table in summarize(sweep, max_rows=None):
        for row in table.rows:
            rows.setdefault(repr(sorted(row.params.items())), row)
    return [row for row in rows.values() if row.all_ids]


# --- the rows as text -----------------------------------------------------------------------------


def _comparison(
    first: Sweep,
    second: Sweep,
    names: tuple[str, str],
    found: Match,
    compared: list[ComparedRow],
    scorer: Scorer,
) -> Comparison:
    known = first.manifest.columns_by_key
    order = [key.removeprefix("param.") for key in known]
    shown = [*found.matched, *(n for n in found.differing if _varies(n, compared))]
    shown.sort(key=lambda name: order.index(name) if name in order else len(order))
    main = first.manifest.main_column
    params = [known.get(f"param.{n}", Column(key=f"param.{n}", label=n)) for n in shown]
    headings = [column.label for column in params]
    for name in names:
        headings += [name, f"{name} 95 %"]
    headings += ["difference", "difference 95 %", *(f"{name} s" for name in names), "status"]
    table = Comparison(
        title=f"{heading(main)}: {names[1]} minus {names[0]}",
        headings=headings,
        rows=[],
        caption=_explain(first.manifest, names, found, compared, scorer),
        names=names,
        main=main,
        params=params,
        compared=compared,
    )
    table.rows = [_cells(row, table) for row in compared]
    return table


def _varies(name: str, compared: Sequence[ComparedRow]) -> bool:
    sides = ([r.first for r in compared], [r.second for r in compared])
    return any(len({repr(row.params.get(name)) for row in rows if row}) > 1 for rows in sides)


def param_cell(row: ComparedRow, column: Column) -> str:
    """Format a parameter's value, or both values if they differ."""
    name = column.key.removeprefix("param.")
    values = [format_plain(r.params.get(name)) for r in (row.first, row.second) if r]
    return " → ".join(dict.fromkeys(values))


def value_cell(row: SummaryRow | None, main: Column) -> str:
    """Format the mean and the deviation of the main metric; ``-`` if there is none."""
    if row is None or main.key not in row.metrics:
        return "-"
    text = format_value(row.metrics[main.key], main.format)
    return text if row.deviation is None else f"{text} ±{format_value(row.deviation, main.format)}"


def difference_cell(row: ComparedRow, main: Column) -> str:
    """Format the mark, and the difference with its sign."""
    if row.difference is None:
        return ""
    sign = "+" if row.difference >= 0 else ""
    return f"{MARKS.get(row.mark, '')}{sign}{format_value(row.difference, main.format)}"


def interval_text(found: Estimate | None, main: Column) -> str:
    """Return ``[low, high]``, or an empty string."""
    return format_interval(found, main.format)


def _cells(row: ComparedRow, table: Comparison) -> list[str]:
    cells = [param_cell(row, column) for column in table.params]
    for side in (row.first, row.second):
        cells += [
            value_cell(side, table.main),
            interval_text(side.estimate if side else None, table.main),
        ]
    cells += [difference_cell(row, table.main), interval_text(row.interval, table.main)]
    cells += ["-" if seconds is None else f"{seconds:.1f}" for seconds in row.seconds]
    sides = zip(table.names, (row.first, row.second), strict=True)
    statuses = [
        ": ".join([name, side.status, *([side.reason] if side.reason else [])])
        for name, side in sides
        if side and side.status
    ]
    return [*cells, "; ".join(statuses)]


def _count_matched(names: tuple[str, str], found: Match) -> str:
    """Return ``3 configurations in both``. A row with several partners is counted once."""
    numbers = [len({id(pair[side]) for pair in found.pairs}) for side in (0, 1)]
    if numbers[0] == numbers[1]:
        return f"{plural(numbers[0], 'configuration')} in both"
    return (
        f"{plural(numbers[0], 'configuration')} of {names[0]} and {numbers[1]} of {names[1]}, "
        f"which differ in {' and '.join(found.differing)}"
    )


def _explain(
    manifest: Manifest,
    names: tuple[str, str],
    found: Match,
    compared: Sequence[ComparedRow],
    scorer: Scorer,
) -> list[str]:
    marks = {row.mark for row in compared}
    lines = [
        f"{_count_matched(names, found)}, {len(found.only_first)} only in {names[0]}, "
        f"{len(found.only_second)} only in {names[1]}."
    ]
    if marks & {"better", "worse", "tie"}:
        how = describe_difference(manifest, scorer, scorer.over_seeds)
        lines.append(f"Difference [unadjusted 95 % interval], {how}.")
        lines.append(
            f"▲ {names[1]} is significantly better, ▼ worse, ≈ not distinguishable "
            "(5 % error over all rows together, by Holm's method)."
        )
    elif not scorer.same_data:
        lines.append(
            "The data differ, so a difference may come from the data alone (for example, a recall "
            "depends on the number of candidates): no row is marked as better or worse."
        )
    elif marks == {""} and not scorer.scored_differently:
        lines.append("Differences have no interval, because there are no samples.")
    if scorer.num_untested:
        lines.append("Rows with too few samples have no interval and no mark.")
    lines += explain_scoring(scorer)
    if "same" in marks:
        lines.append("= the same trials in both sweeps.")
    return lines
