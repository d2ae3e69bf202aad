"""Reads the earlier trials of a search from its results and checkpoints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.saving.checkpoints import InterruptedTrial, TimedStep
from results.storage.filesystem import open_filesystem
from results.storage.reading import StoredTables
from results.storage.schema import NO_MORE_SEEDS
from search_spaces.space import Scalar

Status = Literal["finished", "stopped", "failed", "cancelled", "interrupted"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PastTrial:
    """An earlier trial of a search."""

    id: str
    status: Status
    value: float | None = None  # the last measured main metric
    metrics: Mapping[str, float] = field(default_factory=dict)  # of the last step
    steps: Mapping[int, float] = field(default_factory=dict)  # ``Step.at`` -> main metric, in order
    is_last_seed: bool = False  # whether its configuration was pruned, so no more seeds run


@dataclass(frozen=True, kw_only=True, slots=True)
class PastConfiguration:
    """An earlier configuration of a search."""

    params: Mapping[str, Scalar]
    trials: Mapping[int, PastTrial]  # by seed


def open_history(root: str, task: str, name: str) -> StoredTables:
    """Open the tables of a sweep without reading its ``sweep.json``."""
    filesystem, base = open_filesystem(root)
    return StoredTables(filesystem, f"{base}/{task}/{name}", root=root)


def read_curves(sweep: StoredTables, metric: str) -> dict[str, dict[int, float]]:
    """Return trial id -> {at: value} for the steps that measured the metric, in order."""
    steps, column = sweep.steps, f"metric.{metric}"
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    if column not in steps.column_names:
        return curves
    steps = steps.select(["trial_id", "at", column])
    steps = steps.filter(pc.fill_null(pc.is_finite(steps[column]), False))
    steps = steps.sort_by([("trial_id", "ascending"), ("at", "ascending")])
    columns: list[list[Any]] = [steps[name].to_pylist() for name in steps.column_names]
    for trial_id, at, value in zip(*columns, strict=True):
        curves[trial_id][at] = value
    return curves


def read_history(
    sweep: StoredTables,
    metric: str,
    interrupted: Sequence[InterruptedTrial],
    *,
    without: Collection[str] = (),
) -> list[PastConfiguration]:
    """Return the earlier configurations of a search in the order in which they started.

    Trials with a status in ``without`` are left out, so that they run again.
    """
    curves = read_curves(sweep, metric)
    configurations: dict[str, tuple[dict[str, Scalar], dict[int, PastTrial]]] = {}

    def trials_of(params: dict[str, Scalar]) -> dict[int, PastTrial]:
        return configurations.setdefault(repr(sorted(params.items())), (params, {}))[1]

    ended: set[str] = set()
    saved = {one.trial_id: one for one in interrupted}
    for row in _rows_by_start(sweep.trials):
        ended.add(row["trial_id"])
        params = {k.removeprefix("param."): v for k, v in row.items() if k.startswith("param.")}
        trials = trials_of(params)
        if row["status"] in without:
            continue
        if row["status"] == "interrupted":  # resumes from its checkpoint, if it has one
            steps = saved[row["trial_id"]].steps if row["trial_id"] in saved else ()
            trials[row["seed"]] = _interrupted(row["trial_id"], steps, metric)
            continue
        trials[row["seed"]] = PastTrial(
            id=row["trial_id"],
            status=row["status"],
            value=row.get(f"metric.{metric}"),
            metrics=metrics_of(row),
            steps=curves.get(row["trial_id"], {}),
            is_last_seed=row.get("reason") == NO_MORE_SEEDS,
        )
    for one in interrupted:
        if one.trial_id not in ended:
            past = _interrupted(one.trial_id, one.steps, metric)
            trials_of(dict(one.params))[one.seed] = past
    return [
        PastConfiguration(params=params, trials=trials)
        for params, trials in configurations.values()
    ]


def metrics_of(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of a trial's last step from its row."""
    return {
        name.removeprefix("metric."): value
        for name, value in row.items()
        if name.startswith("metric.") and value is not None
    }


def _interrupted(trial_id: str, steps: Sequence[TimedStep], metric: str) -> PastTrial:
    values = {s.step.at: s.step.metrics[metric] for s in steps if metric in s.step.metrics}
    return PastTrial(id=trial_id, status="interrupted", steps=values)


def _rows_by_start(trials: pa.Table) -> list[dict[str, Any]]:
    """Return the rows by start time, without the long columns."""
    if not trials.num_rows:
        return []
    kept = [name for name in trials.column_names if name not in ("log", "model", "data")]
    trials = trials.select(kept)
    rows: list[dict[str, Any]] = (
        trials.sort_by("started") if "started" in kept else trials
    ).to_pylist()
    return rows
