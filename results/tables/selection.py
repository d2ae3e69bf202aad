"""Select the trial of a sweep to export, and describe its rank."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from results.storage.reading import Sweep
from results.tables.summary import SummaryRow, SummaryTable, summarize
from tasks.contract import StoreError


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A selected trial and its rank."""

    trial: Mapping[str, Any]  # its row
    table: SummaryTable | None = None  # the table of its configuration; None if there is none
    row: SummaryRow | None = None
    rank: int = 0  # of its configuration by the main metric, from 1; 0 if unknown
    num_configurations: int = 0  # number of compared configurations
    num_pruned: int = 0  # number of those that a pruner stopped before any of their trials finished
    num_trials: int = 0  # number of their finished trials
    is_best: bool = False  # selected because it is the best, not by its id


def select_best(sweep: Sweep) -> Selection:
    """Select the first seed of the best configuration over all tables of the sweep.

    Configurations that finished every seed have priority.

    Raises:
        StoreError: if no trial finished.
    """
    ranked = _ranked(sweep)
    if not ranked:
        raise StoreError(
            f"{sweep.manifest.full_name} has no finished trial yet; run the sweep's command to "
            "resume"
        )
    best = next((i for i, (_, row) in enumerate(ranked) if not row.status), 0)
    return _selection(sweep, ranked, best, ranked[best][1].trial_ids[0], is_best=True)


def select_trial(sweep: Sweep, trial: Mapping[str, Any]) -> Selection:
    """Select the trial with this row."""
    trial_id, ranked = trial["trial_id"], _ranked(sweep)
    index = next((i for i, (_, row) in enumerate(ranked) if trial_id in row.trial_ids), None)
    if index is None:  # its model, data or version is not that of the sweep's last run
        return Selection(trial=trial)
    return _selection(sweep, ranked, index, trial_id, is_best=False)


def _selection(
    sweep: Sweep,
    ranked: list[tuple[SummaryTable, SummaryRow]],
    index: int,
    trial_id: str,
    *,
    is_best: bool,
) -> Selection:
    table, row = ranked[index]
    num_pruned = _num_pruned(sweep)
    return Selection(
        trial=next(each for each in sweep.rows() if each["trial_id"] == trial_id),
        table=table,
        row=row,
        rank=index + 1,
        num_configurations=len(ranked) + num_pruned,
        num_pruned=num_pruned,
        num_trials=sum(len(row.trial_ids) for _, row in ranked),
        is_best=is_best,
    )


def _ranked(sweep: Sweep) -> list[tuple[SummaryTable, SummaryRow]]:
    """Return the configurations with finished trials, each once, best first.

    For a configuration in several tables, use the row with published numbers, or the row in the
    longest table.
    """
    found: dict[str, tuple[SummaryTable, SummaryRow]] = {}
    for table in summarize(sweep, None):
        for row in table.rows:
            if not row.trial_ids or table.main.key not in row.metrics:
                continue
            key = json.dumps(row.params, sort_keys=True)
            if key not in found or _weight(table, row) > _weight(*found[key]):
                found[key] = (table, row)
    sign = -1.0 if sweep.manifest.maximize else 1.0
    return sorted(found.values(), key=lambda pair: sign * pair[1].metrics[pair[0].main.key])


def _num_pruned(sweep: Sweep) -> int:
    """Return the number of configurations that were pruned before any of their trials finished."""
    return len(
        {
            json.dumps(row.params, sort_keys=True)
            for table in summarize(sweep, None)
            for row in table.rows
            if row.status.startswith("pruned") and not row.trial_ids
        }
    )


def _weight(table: SummaryTable, row: SummaryRow) -> tuple[bool, int]:
    return bool(row.reported), len(table.rows)
