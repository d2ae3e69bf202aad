"""The summary tables as data: what the terminal and every export show. Made from a sweep alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from results.reading import Sweep, aggregate_of
from results.search import describe_lines
from results.statistics import MEAN, BestComparison, Estimate, compare_with_best, estimate

Scalar = str | int | float | bool | None
MAX_ROWS = 25  # of a grid or a search; the rest is in the Parquet tables

#: What the mark beside the main metric means, in the order a caption explains it.
MARKS = {"best": "★ best", "tie": "≈ not distinguishable from it"}


@dataclass(kw_only=True)
class SummaryRow:
    """One configuration."""

    params: Mapping[str, Scalar]
    metrics: dict[str, float]  # means over seeds, by column key
    estimate: Estimate | None = None  # of the main metric
    deviation: float | None = None  # of the main metric over seeds
    reported: list[float] = field(default_factory=list)  # the paper's numbers, one a merged row
    other_reported: dict[str, float] = field(default_factory=dict)
    other_published: dict[str, float] = field(default_factory=dict)
    label: str = ""  # a remark of the search space, such as that the row is not the paper's
    mark: str = ""  # "best", "tie", or nothing: significantly worse, or not tested
    p_value: float | None = None  # against the best, adjusted for all rows; none if not tested
    on_front: bool = False  # no other row is better in both metrics of the task's front
    trial_ids: list[str] = field(default_factory=list)  # of the seeds that finished
    status: str = ""  # what is missing; empty if all seeds finished
    num_seeds: int = 0


@dataclass(kw_only=True)
class SummaryTable:
    """One table: headings by column key, rows in order, lines of explanation."""

    title: str
    params: list[Mapping[str, Any]]  # the columns shown of parameters
    metrics: list[Mapping[str, Any]]  # the columns of other metrics, after the main one
    main: Mapping[str, Any]
    has_report: bool
    rows: list[SummaryRow]
    caption: list[str]


def summarise(
    sweep: Sweep, max_rows: int | None = MAX_ROWS, *, published: bool = True
) -> list[SummaryTable]:
    """The tables of a sweep: the paper's, or one over all configurations, best first.

    ``published=False`` leaves the published numbers out.
    """
    manifest = sweep.manifest
    trials = sweep.current_rows()
    scores = Scores(sweep, manifest["metric"]["name"])
    if manifest["tables"]:
        planned = manifest["tables"] if published else map(_without_numbers, manifest["tables"])
        tables = [_report_table(manifest, table, trials, scores) for table in planned]
        first = next((t for t in tables if any(row.reported for row in t.rows)), None)
        if first and manifest.get("published"):
            first.caption.insert(0, published_source(manifest))
        return tables
    return [_open_table(manifest, trials, scores, max_rows)]


def _without_numbers(table: Mapping[str, Any]) -> Mapping[str, Any]:
    rows = [{**row, "report": {}, "published": {}, "label": None} for row in table["rows"]]
    return {**table, "rows": rows}


def published_source(manifest: Mapping[str, Any]) -> str:
    """Whose numbers are in the column ``published``, and whose are beside them."""
    source, model, data = manifest["published"], manifest["model"]["name"], manifest["data"]["name"]
    return (
        f"Published numbers: {source['model']} on {source['data']}. "
        f"Ours: {model} on {data}, another model and other data."
    )


class Scores:
    """What backs a metric per unit, from ``samples``: trial id -> [U], or [U, 10]."""

    def __init__(self, sweep: Sweep, name: str) -> None:
        self._spec = next((p for p in sweep.manifest["paired"] if p["metric"] == name), None)
        self._by_trial: dict[str, np.ndarray[Any, Any]] = {}
        self._units: dict[str, np.ndarray[Any, Any]] = {}
        if self._spec is None or not sweep.samples.num_rows:
            return
        samples = sweep.samples
        if not {*self._spec["where"], self._spec["unit"], self._spec["value"]} <= {
            *samples.column_names
        }:
            return
        for column, wanted in self._spec["where"].items():
            samples = samples.filter(pc.equal(samples[column], wanted))
        samples = samples.filter(pc.is_valid(samples[self._spec["value"]]))  # of another version
        if not samples.num_rows:
            return
        samples = samples.sort_by([("trial_id", "ascending"), (self._spec["unit"], "ascending")])
        values = _to_numpy(samples[self._spec["value"]])
        if (values.ndim == 2) != (self.aggregate != MEAN):
            return
        if self._spec["at_most"] is not None:
            values = (values <= self._spec["at_most"]).astype(np.float64)
        ids = np.asarray(samples["trial_id"].to_pylist())
        starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
        units = samples[self._spec["unit"]].combine_chunks().to_numpy(zero_copy_only=False)
        parts = zip(starts, np.split(values, starts[1:]), np.split(units, starts[1:]), strict=True)
        for first, part, of_units in parts:
            self._by_trial[str(ids[first])] = part
            self._units[str(ids[first])] = of_units

    @property
    def aggregate(self) -> str:
        """How the scores form the metric: ``mean``, or a formula."""
        return MEAN if self._spec is None else str(aggregate_of(self._spec))

    def units(self, trial_id: str) -> Any:
        """The units [U] that a trial's scores are of, in order; None if there are no scores."""
        return self._units.get(trial_id)

    def matrix(self, trial_ids: Sequence[str]) -> Any:
        """Scores [U, S] of a configuration's trials, one a seed, or None."""
        parts = [self._by_trial.get(trial_id) for trial_id in trial_ids]
        if not parts or any(p is None or len(p) != len(parts[0]) for p in parts):  # type: ignore[arg-type]
            return None
        return np.stack(parts, axis=1)  # type: ignore[arg-type]


def _to_numpy(column: Any) -> np.ndarray[Any, Any]:
    """A column of numbers, or of lists of as many numbers each."""
    array = column.combine_chunks()
    if pa.types.is_list(array.type):
        return np.asarray(array.flatten()).reshape(len(array), -1)
    return np.asarray(array.to_numpy(zero_copy_only=False))


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
    manifest: Mapping[str, Any],
    table: Mapping[str, Any],
    trials: Sequence[Mapping[str, Any]],
    scores: Scores,
) -> SummaryTable:
    grouped = _by_configuration(trials)
    main_key = f"metric.{manifest['metric']['name']}"
    rows: dict[str, SummaryRow] = {}
    found: dict[str, dict[int, Mapping[str, Any]]] = {}
    for planned in table["rows"]:
        key = _key(planned["params"])
        if key not in rows:  # equal configurations are one row
            found[key] = {s: r for s, r in grouped.get(key, {}).items() if s in manifest["seeds"]}
            rows[key] = _row(planned["params"], found[key], manifest, scores)
        rows[key].label = rows[key].label or planned.get("label") or ""
        report = planned["report"]
        if main_key in report:
            rows[key].reported.append(report[main_key])
        rows[key].other_reported |= {k: v for k, v in report.items() if k != main_key}
        rows[key].other_published |= planned.get("published", {})
    tested = _mark(list(rows.values()), list(found.values()), manifest, scores)
    _mark_front(list(rows.values()), manifest)
    note = [table["note"]] if table.get("note") else []
    has_report = any(row.reported or row.label for row in rows.values())
    return _table(manifest, table["title"], list(rows.values()), has_report, note, tested)


def _open_table(
    manifest: Mapping[str, Any],
    trials: Sequence[Mapping[str, Any]],
    scores: Scores,
    max_rows: int | None,
) -> SummaryTable:
    sign = -1.0 if manifest["metric"]["direction"] == "maximize" else 1.0
    pairs = []
    for found in _by_configuration(trials).values():
        first = next(iter(found.values()))
        params = {k.removeprefix("param."): v for k, v in first.items() if k.startswith("param.")}
        pairs.append((_row(params, found, manifest, scores), found))
    main_key = f"metric.{manifest['metric']['name']}"

    def order(pair: tuple[SummaryRow, Any]) -> tuple[bool, float]:
        value = pair[0].metrics.get(main_key, math.nan)
        return (bool(pair[0].status) or math.isnan(value), sign * value if value == value else 0.0)

    pairs.sort(key=order)
    rows = [row for row, _ in pairs]
    tested = _mark(rows, [found for _, found in pairs], manifest, scores)
    _mark_front(rows, manifest)
    hidden = len(rows) - len(rows[:max_rows])
    note = [f"{hidden} further configurations are in the Parquet tables."] if hidden > 0 else []
    note += describe_lines(manifest.get("search"))
    number = f"{len(rows)} configuration{'s' if len(rows) > 1 else ''}"
    title = f"{manifest['task']}: {manifest['name']}, {number}, best first"
    return _table(manifest, title, rows[:max_rows], False, note, tested)


def _row(
    params: Mapping[str, Scalar],
    found: Mapping[int, Mapping[str, Any]],
    manifest: Mapping[str, Any],
    scores: Scores,
) -> SummaryRow:
    done = {seed: row for seed, row in sorted(found.items()) if row["status"] == "finished"}
    ids = [str(each["trial_id"]) for each in done.values()]
    row = SummaryRow(params=params, metrics={}, num_seeds=len(done), trial_ids=ids)
    row.status = _status(found, len(done), len(manifest["seeds"]))
    shown = done or {s: r for s, r in found.items() if r["status"] == "stopped"}
    for column in manifest["columns"]:
        if column["key"].startswith("metric."):
            prefix = "best." if column["pick"] == "best" else "metric."
            stored = prefix + column["key"].removeprefix("metric.")
            values = [r[stored] for r in shown.values() if r.get(stored) is not None]
            if values:
                row.metrics[column["key"]] = float(np.mean(values))
    main = f"metric.{manifest['metric']['name']}"
    values = [r[main] for r in done.values() if r.get(main) is not None]
    if len(values) > 1:
        row.deviation = float(np.std(values, ddof=1))
    matrix = scores.matrix(ids)
    if matrix is not None:
        found_estimate = estimate(matrix, scores.aggregate)
        row.estimate = None if math.isnan(found_estimate.low) else found_estimate
    return row


def _status(found: Mapping[int, Mapping[str, Any]], num_done: int, num_seeds: int) -> str:
    failed = [r for r in found.values() if r["status"] == "failed"]
    stopped = [r for r in found.values() if r["status"] == "stopped"]
    if failed:
        return f"failed: {failed[0]['reason']}"
    if stopped:
        return f"stopped early after {stopped[0]['num_steps']} steps"
    if num_done == 0:
        return "not run yet"
    return "" if num_done >= num_seeds else f"{num_done} of {num_seeds} seeds"


def _mark(
    rows: Sequence[SummaryRow],
    found: Sequence[Mapping[int, Mapping[str, Any]]],
    manifest: Mapping[str, Any],
    scores: Scores,
) -> BestComparison | None:
    """Mark the best row, and those that a test over all rows cannot tell from it.

    Only rows that finished every seed are tested, on the seeds that they share. Without scores per
    unit there is a best row and no test.
    """
    main = f"metric.{manifest['metric']['name']}"
    maximize = manifest["metric"]["direction"] == "maximize"
    complete = [i for i, row in enumerate(rows) if row.num_seeds and main in row.metrics]
    values = [rows[i].metrics[main] for i in complete]
    if len(set(values)) < 2:
        return None  # nothing to choose between
    tested = [i for i in complete if not rows[i].status]
    matrices = _matrices([found[i] for i in tested], manifest, scores)
    if matrices is None:
        rows[complete[int(np.argmax(values if maximize else np.negative(values)))]].mark = "best"
        return None
    result = compare_with_best(matrices, maximize=maximize, aggregate=scores.aggregate)
    pairs = zip(tested, result.p_values, result.beaten, strict=True)
    for index, p_value, beaten in pairs:
        rows[index].mark = "" if beaten else "tie"
        rows[index].p_value = p_value
    rows[tested[result.best]].mark = "best"
    rows[tested[result.best]].p_value = None
    return result


def _matrices(
    found: Sequence[Mapping[int, Mapping[str, Any]]], manifest: Mapping[str, Any], scores: Scores
) -> list[np.ndarray[Any, Any]] | None:
    """The scores of each row on the seeds and units that all share; None if there are none."""
    main = f"metric.{manifest['metric']['name']}"
    column = next(column for column in manifest["columns"] if column["key"] == main)
    if len(found) < 2 or column["pick"] != "last":  # samples are of the last step
        return None
    finished = [
        {seed: row["trial_id"] for seed, row in trials.items() if row["status"] == "finished"}
        for trials in found
    ]
    seeds = sorted(set.intersection(*(set(each) for each in finished)))
    matrices = [scores.matrix([each[seed] for seed in seeds]) for each in finished]
    if any(matrix is None or matrix.shape[:2] == (1, 1) for matrix in matrices):
        return None
    units = [scores.units(each[seed]) for each in finished for seed in seeds]
    if not all(np.array_equal(units[0], other) for other in units):
        return None
    return matrices


def _mark_front(rows: Sequence[SummaryRow], manifest: Mapping[str, Any]) -> None:
    """Mark what no other row beats in both of two metrics, where a task names such a pair."""
    keys = [f"metric.{name}" for name in manifest.get("front") or ()]
    complete = [
        row for row in rows if keys and row.num_seeds and all(k in row.metrics for k in keys)
    ]
    points = [tuple(row.metrics[key] for key in keys) for row in complete]
    for row, point in zip(complete, points, strict=True):
        row.on_front = len(complete) > 1 and not any(
            other != point and all(o >= p for o, p in zip(other, point, strict=True))
            for other in points
        )


def _table(
    manifest: Mapping[str, Any],
    title: str,
    rows: list[SummaryRow],
    has_report: bool,
    note: list[str],
    tested: BestComparison | None,
) -> SummaryTable:
    names = list(dict.fromkeys(name for row in rows for name in row.params))
    varying = [n for n in names if len({_key({n: r.params.get(n)}) for r in rows}) > 1]
    known = {c["key"]: c for c in manifest["columns"]}
    order = [k.removeprefix("param.") for k in known if k.startswith("param.")]
    varying.sort(key=lambda n: order.index(n) if n in order else len(order))
    blank = {"format": "text", "pick": "last"}
    params = [known.get(f"param.{n}", {"key": f"param.{n}", "label": n, **blank}) for n in varying]
    main_key = f"metric.{manifest['metric']['name']}"
    metrics = [c for k, c in known.items() if k.startswith("metric.") and k != main_key]
    metrics = [column for column in metrics if not column.get("detail")]
    fixed = ", ".join(
        f"{n} {format_plain(rows[0].params[n])}" for n in names if rows and n not in varying
    )
    return SummaryTable(
        title=title,
        params=params,
        metrics=metrics,
        main=known[main_key],
        has_report=has_report,
        rows=rows,
        caption=[
            *note,
            *_explain(manifest, rows, tested),
            *([f"All rows: {fixed}."] if fixed else []),
        ],
    )


def _explain(
    manifest: Mapping[str, Any], rows: Sequence[SummaryRow], tested: BestComparison | None
) -> list[str]:
    seeds = len(manifest["seeds"])
    lines = [
        f"Model {manifest['model']['name']}, data {manifest['data']['name']}, "
        f"{seeds} seed{'s' if seeds > 1 else ''}."
    ]
    main = manifest["metric"]["name"]
    unit = next((p["unit"] for p in manifest["paired"] if p["metric"] == main), "unit")
    units = f"{unit[:-1]}ies" if unit.endswith("y") else f"{unit}s"
    if any(row.estimate for row in rows):
        spread = "mean ± deviation over seeds, " if seeds > 1 else ""
        lines.append(f"{spread}[95 % interval over {units}{' and seeds' if seeds > 1 else ''}]")
    lines += _explain_marks(rows, tested, unit, units)
    lines += [f"{sign} {label}." for label, sign in label_signs(rows).items()]
    if any(row.on_front for row in rows):
        labels = {column["key"]: column["label"] for column in manifest["columns"]}
        names = " and ".join(labels[f"metric.{name}"] for name in manifest["front"])
        lines.append(f"◆ on the front of {names}: no other row is better in both.")
    return lines


def _explain_marks(
    rows: Sequence[SummaryRow], tested: BestComparison | None, unit: str, units: str
) -> list[str]:
    if not any(row.mark == "best" for row in rows):
        return []
    if tested is None:
        return [f"★ best; no test of the difference: it takes scores per {unit} of complete rows."]
    beaten = any(tested.beaten)
    parts = [MARKS["best"]]
    if tested.beaten.count(False) > 1:
        parts += [MARKS["tie"], *(["rows without a mark are significantly worse"] * beaten)]
    else:
        parts.append("every other row is significantly worse")
    scope = (
        f"over {units} and seeds"
        if tested.over_seeds
        else (f"over {units} only: one seed says nothing about other seeds")
    )
    line = f"{'; '.join(parts)} (5 % error over the whole table, paired by {unit}, {scope})."
    if any(row.status and row.num_seeds for row in rows):
        line += " Rows that lack seeds are not tested."
    return [line]


# --- numbers as text ------------------------------------------------------------------------------


def format_value(value: float | None, kind: str) -> str:
    """A number as its column prints it; percent columns hold 0..1."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if kind in ("percent", "score"):
        return f"{100 * value if kind == 'percent' else value:.2f}"
    if kind == "integer":
        return str(int(value))
    return f"{value:.4g}"


def format_plain(value: Scalar) -> str:
    """A parameter's value: ``1e-05`` as ``1e-5``, None as ``-``."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        text = f"{value:.4g}"
        if value and (abs(value) <= 0.01 or abs(value) >= 1e4):
            mantissa, exponent = f"{value:.3e}".split("e")
            text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
        return text
    # Quoted where white space or nothing would not be seen.
    return (
        f'"{value}"'
        if (isinstance(value, str) and value != value.strip()) or value == ""
        else str(value)
    )


def main_cell(row: SummaryRow, table: SummaryTable) -> str:
    """The main metric: mark, mean, deviation, front; what is missing where there is none."""
    value = row.metrics.get(table.main["key"])
    if value is None:
        return "-"
    text = format_value(value, table.main["format"])
    if row.deviation is not None:
        text += f" ±{format_value(row.deviation, table.main['format'])}"
    return {"best": "★ ", "tie": "≈ "}.get(row.mark, "") + text + (" ◆" if row.on_front else "")


def metric_cell(row: SummaryRow, column: Mapping[str, Any]) -> str:
    """A further metric, with its interval where the metrics ``_low`` and ``_high`` give one."""
    text = format_value(row.metrics.get(column["key"]), column["format"])
    low, high = (row.metrics.get(f"{column['key']}_{end}") for end in ("low", "high"))
    if low is None or high is None:
        return text
    return f"{text} [{_bound(low, column['format'])}, {_bound(high, column['format'])}]"


def interval_cell(row: SummaryRow, table: SummaryTable) -> str:
    """The 95 % interval of the main metric."""
    return format_interval(row.estimate, table.main["format"])


def format_interval(found: Estimate | None, kind: str) -> str:
    """``[low, high]``, or nothing."""
    if found is None or math.isnan(found.low):
        return ""
    return f"[{_bound(found.low, kind)}, {_bound(found.high, kind)}]"


def _bound(value: float, kind: str) -> str:
    scale = {"percent": 100.0, "score": 1.0}.get(kind)
    return f"{value:.3g}" if scale is None else f"{scale * value:.1f}"


def report_cell(row: SummaryRow, table: SummaryTable) -> str:
    """The paper's own numbers for this configuration, and the sign of its label."""
    text = ", ".join(format_value(value, table.main["format"]) for value in row.reported) or "-"
    return f"{text} {label_signs(table.rows)[row.label]}" if row.label else text


def label_signs(rows: Sequence[SummaryRow]) -> dict[str, str]:
    """A sign for each label of a table: †, ††, ..."""
    labels = dict.fromkeys(row.label for row in rows if row.label)
    return {label: "†" * number for number, label in enumerate(labels, start=1)}
