"""Two sweeps of one task side by side, as data: what differs as a whole, then row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.compare_whole import whole
from results.details import DetailTable
from results.matching import Match, match
from results.reading import Sweep
from results.statistics import ALPHA, Estimate, difference, holm
from results.summary import (
    Scores,
    SummaryRow,
    format_interval,
    format_plain,
    format_value,
    summarise,
)
from tasks.contract import RequestError

MARKS = {"better": "▲ ", "worse": "▼ ", "tie": "≈ ", "same": "= "}


@dataclass(kw_only=True)
class ComparedRow:
    """One configuration in both sweeps, or in one."""

    first: SummaryRow | None
    second: SummaryRow | None
    seconds: tuple[float | None, float | None]  # of a trial, the mean over seeds
    difference: float | None = None  # second minus first
    interval: Estimate | None = None  # of the difference, for this row alone
    p_value: float | None = None  # of no difference, adjusted for all rows (Holm)
    mark: str = ""  # of the second beside the first: a key of MARKS, or nothing


@dataclass(kw_only=True)
class Comparison(DetailTable):
    """The rows as text for every export, and behind them the numbers."""

    names: tuple[str, str]
    main: Mapping[str, Any]
    params: list[Mapping[str, Any]]  # the columns shown of parameters
    compared: list[ComparedRow]  # those of both sweeps, of the first alone, of the second alone


def compare(first: Sweep, second: Sweep, names: tuple[str, str]) -> tuple[DetailTable, Comparison]:
    """What the sweeps differ in as a whole, and their configurations beside each other.

    Raises:
        RequestError: if they are of two tasks, or have no configuration in common.
    """
    tasks = (first.manifest["task"], second.manifest["task"])
    if tasks[0] != tasks[1]:
        raise RequestError(
            f"{names[0]} is a sweep of {tasks[0]}, {names[1]} of {tasks[1]}: "
            "only two sweeps of one task can be compared"
        )
    rows = _rows(first), _rows(second)
    for name, found_rows in zip(names, rows, strict=True):
        if not found_rows:
            raise RequestError(f"{name} has no trials yet; run its sweep first")
    found = match(*rows)
    if not found.pairs:
        raise RequestError(
            f"{names[0]} and {names[1]} have no configuration in common; "
            "`report` prints each by itself"
        )
    scorer = _Scorer(first, second)
    compared = [scorer.compare(one, other) for one, other in found.pairs]
    scorer.mark(compared)
    compared += [scorer.compare(row, None) for row in found.only_first]
    compared += [scorer.compare(None, row) for row in found.only_second]
    above = whole((first, second), names, rows, found.apart)
    return above, _comparison(first, second, names, found, compared, scorer)


def _rows(sweep: Sweep) -> list[SummaryRow]:
    """The configurations that ``report`` shows, each once, without those that have no trial."""
    rows: dict[str, SummaryRow] = {}
    for table in summarise(sweep, max_rows=None):
        for row in table.rows:
            rows.setdefault(repr(sorted(row.params.items())), row)
    return [row for row in rows.values() if row.all_ids]


class _Scorer:
    """Puts numbers beside each other, paired by unit and seed as far as the samples allow."""

    def __init__(self, first: Sweep, second: Sweep) -> None:
        name = first.manifest["metric"]["name"]
        self._main = f"metric.{name}"
        column = next(c for c in first.manifest["columns"] if c["key"] == self._main)
        self._is_last = column["pick"] == "last"  # samples are of the last step
        self._sign = 1.0 if first.manifest["metric"]["direction"] == "maximize" else -1.0
        fingerprints = [sweep.manifest["data"]["fingerprint"] for sweep in (first, second)]
        self._same_data = fingerprints[0] == fingerprints[1]
        self._scores = Scores(first, name), Scores(second, name)
        self._trials = tuple({r["trial_id"]: r for r in s.rows()} for s in (first, second))
        self.pairing: set[str] = set()  # how rows were paired, for the caption
        self.over_seeds = True  # whether every row's statement covers other seeds

    def compare(self, first: SummaryRow | None, second: SummaryRow | None) -> ComparedRow:
        row = ComparedRow(
            first=first,
            second=second,
            seconds=(self._seconds(0, first), self._seconds(1, second)),
        )
        if first is None or second is None or not (first.num_seeds and second.num_seeds):
            return row
        if self._main not in first.metrics or self._main not in second.metrics:
            return row
        row.difference = second.metrics[self._main] - first.metrics[self._main]
        if first.trial_ids == second.trial_ids:
            row.mark = "same"
        elif self._is_last:
            self._test(row, first, second)
        return row

    def _test(self, row: ComparedRow, first: SummaryRow, second: SummaryRow) -> None:
        ours, theirs = (
            scores.matrix(each.trial_ids)
            for scores, each in zip(self._scores, (first, second), strict=True)
        )
        if ours is None or theirs is None or ours.shape[:2] == (1, 1) == theirs.shape[:2]:
            return
        units = [
            scores.units(each.trial_ids[0])
            for scores, each in zip(self._scores, (first, second), strict=True)
        ]
        same_units = self._same_data and np.array_equal(units[0], units[1])
        same_seeds = self._seeds(0, first) == self._seeds(1, second)
        found = difference(
            theirs,
            ours,
            same_units=same_units,
            same_seeds=same_seeds,
            aggregate=self._scores[0].aggregate,
        )
        row.interval, row.p_value = found.estimate, found.p_value
        self.over_seeds &= found.over_seeds
        self.pairing.add("unit" if same_units else "")
        self.pairing.add("seed" if same_seeds and len(first.trial_ids) > 1 else "")

    def mark(self, rows: Sequence[ComparedRow]) -> None:
        """Adjust the p values for all rows, and mark the differences that remain."""
        tested = [row for row in rows if row.p_value is not None]
        adjusted = holm([row.p_value for row in tested if row.p_value is not None])
        for row, p_value in zip(tested, adjusted, strict=True):
            row.p_value = p_value
            assert row.difference is not None
            better = self._sign * row.difference > 0
            row.mark = "tie" if p_value >= ALPHA else "better" if better else "worse"

    def _seeds(self, which: int, row: SummaryRow) -> list[int]:
        return [self._trials[which][trial_id]["seed"] for trial_id in row.trial_ids]

    def _seconds(self, which: int, row: SummaryRow | None) -> float | None:
        took = [self._trials[which][i].get("seconds") for i in row.trial_ids] if row else []
        known = [seconds for seconds in took if seconds is not None]
        return float(np.mean(known)) if known else None


# --- the rows as text -----------------------------------------------------------------------------


def _comparison(
    first: Sweep,
    second: Sweep,
    names: tuple[str, str],
    found: Match,
    compared: list[ComparedRow],
    scorer: _Scorer,
) -> Comparison:
    known = {column["key"]: column for column in first.manifest["columns"]}
    order = [key.removeprefix("param.") for key in known]
    shown = [*found.matched, *(n for n in found.apart if _varies(n, compared))]
    shown.sort(key=lambda name: order.index(name) if name in order else len(order))
    main = known[f"metric.{first.manifest['metric']['name']}"]
    unit = " %" if main["format"] == "percent" else ""
    params = [known.get(f"param.{n}", {"key": f"param.{n}", "label": n}) for n in shown]
    headings = [column["label"] for column in params]
    for name in names:
        headings += [name, f"{name} 95 %"]
    headings += ["difference", "difference 95 %", *(f"{name} s" for name in names), "status"]
    table = Comparison(
        title=f"{main['label']}{unit}: {names[1]} minus {names[0]}",
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


def param_cell(row: ComparedRow, column: Mapping[str, Any]) -> str:
    """A parameter's value, or both where they differ."""
    name = column["key"].removeprefix("param.")
    values = [format_plain(r.params.get(name)) for r in (row.first, row.second) if r]
    return " → ".join(dict.fromkeys(values))


def value_cell(row: SummaryRow | None, main: Mapping[str, Any]) -> str:
    """The main metric, its mean and deviation; ``-`` where there is none."""
    if row is None or main["key"] not in row.metrics:
        return "-"
    text = format_value(row.metrics[main["key"]], main["format"])
    return (
        text if row.deviation is None else f"{text} ±{format_value(row.deviation, main['format'])}"
    )


def difference_cell(row: ComparedRow, main: Mapping[str, Any]) -> str:
    """The mark and the difference with its sign."""
    if row.difference is None:
        return ""
    sign = "+" if row.difference >= 0 else ""
    return f"{MARKS.get(row.mark, '')}{sign}{format_value(row.difference, main['format'])}"


def interval_text(found: Estimate | None, main: Mapping[str, Any]) -> str:
    """``[low, high]``, or nothing."""
    return format_interval(found, main["format"])


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
    told = [
        ": ".join([name, side.status, *([side.reason] if side.reason else [])])
        for name, side in sides
        if side and side.status
    ]
    return [*cells, "; ".join(told)]


def _explain(
    manifest: Mapping[str, Any],
    names: tuple[str, str],
    found: Match,
    compared: Sequence[ComparedRow],
    scorer: _Scorer,
) -> list[str]:
    main = manifest["metric"]["name"]
    unit = next((p["unit"] for p in manifest["paired"] if p["metric"] == main), "unit")
    by = " and ".join(
        word.replace("unit", unit) for word in ("unit", "seed") if word in scorer.pairing
    )
    marks = {row.mark for row in compared}
    lines = [
        f"{len(found.pairs)} configurations in both, {len(found.only_first)} in {names[0]} alone, "
        f"{len(found.only_second)} in {names[1]} alone."
    ]
    if marks & {"better", "worse", "tie"}:
        how = f"paired by {by}" if by else "not paired: the samples are not the same"
        units = f"{unit[:-1]}ies" if unit.endswith("y") else f"{unit}s"
        scope = (
            f"over {units} and seeds"
            if scorer.over_seeds
            else (f"over {units} only: one seed says nothing about other seeds")
        )
        lines.append(f"Difference [95 % interval of that row alone], {how}, {scope}.")
        lines.append(
            f"▲ {names[1]} is significantly better, ▼ worse, ≈ not distinguishable "
            "(5 % error over all rows together, by Holm's method)."
        )
    elif marks == {""}:
        lines.append("No interval of the difference: there are no samples to take it from.")
    if "same" in marks:
        lines.append("= the same trials in both sweeps.")
    return lines
