"""Make the rows of a summary table from the trials of a configuration."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from results.statistics import estimate
from results.storage.manifest import Manifest
from results.tables.rows import SummaryRow
from results.tables.scores import Scores
from tasks.contract import Scalar

NOT_RUN = "not run"


def params_key(params: Mapping[str, Scalar]) -> str:
    """Return parameters as text; equal parameters have equal texts."""
    return json.dumps(params, sort_keys=True)


def by_configuration(
    trials: Sequence[Mapping[str, Any]],
) -> dict[str, dict[int, Mapping[str, Any]]]:
    """Return the trials by ``params_key`` and seed."""
    grouped: dict[str, dict[int, Mapping[str, Any]]] = {}
    for row in trials:
        params = {k.removeprefix("param."): v for k, v in row.items() if k.startswith("param.")}
        grouped.setdefault(params_key(params), {})[row["seed"]] = row
    return grouped


def make_row(
    params: Mapping[str, Scalar],
    found: Mapping[int, Mapping[str, Any]],
    manifest: Manifest,
    scores: Scores,
) -> SummaryRow:
    """Return the row of one configuration, from its trials by seed."""
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
                # One seed is common, and numpy takes its time for a single number.
                row.metrics[column.key] = float(values[0] if len(values) == 1 else np.mean(values))
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
    if "cancelled" in by_status:
        return "cancelled", ""
    if "stopped" in by_status:
        return f"pruned@{by_status['stopped']['num_steps']}", ""
    if "interrupted" in by_status and by_status["interrupted"]["num_steps"]:
        return f"interrupted@{by_status['interrupted']['num_steps']}", ""
    return NOT_RUN, ""
