"""Which trial of a sweep is exported, and what it was compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from results.storage.reading import Sweep
from results.tables.summary import SummaryRow, SummaryTable, summarise
from tasks.contract import StoreError


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A trial and its place among the others."""

    trial: Mapping[str, Any]  # its row
    table: SummaryTable | None = None  # where its configuration stands; None if in no table
    row: SummaryRow | None = None
    rank: int = 0  # of its configuration by the main metric, from 1; 0 if unknown
    num_configurations: int = 0  # that were compared
    num_trials: int = 0  # of these configurations, finished
    is_best: bool = False  # chosen for being the best, not by the user


def select_best(sweep: Sweep) -> Selection:
    """The first seed of the best configuration over all tables of the sweep.

    Configurations that finished every seed go first.

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
    """A trial that the user chose, by its row."""
    trial_id, ranked = trial["trial_id"], _ranked(sweep)
    place = next((i for i, (_, row) in enumerate(ranked) if trial_id in row.trial_ids), None)
    if place is None:  # of another model, data or version than the sweep's last run
        return Selection(trial=trial)
    return _selection(sweep, ranked, place, trial_id, is_best=False)


def _selection(
    sweep: Sweep,
    ranked: list[tuple[SummaryTable, SummaryRow]],
    place: int,
    trial_id: str,
    *,
    is_best: bool,
) -> Selection:
    table, row = ranked[place]
    return Selection(
        trial=next(each for each in sweep.rows() if each["trial_id"] == trial_id),
        table=table,
        row=row,
        rank=place + 1,
        num_configurations=len(ranked),
        num_trials=sum(len(row.trial_ids) for _, row in ranked),
        is_best=is_best,
    )


def _ranked(sweep: Sweep) -> list[tuple[SummaryTable, SummaryRow]]:
    """The configurations with finished trials, each once, the best first.

    Of a configuration in several tables, the row with published numbers, or in the longest table,
    counts.
    """
    found: dict[str, tuple[SummaryTable, SummaryRow]] = {}
    for table in summarise(sweep, None):
        for row in table.rows:
            if not row.trial_ids or table.main.key not in row.metrics:
                continue
            key = json.dumps(row.params, sort_keys=True)
            if key not in found or _weight(table, row) > _weight(*found[key]):
                found[key] = (table, row)
    sign = -1.0 if sweep.manifest.maximize else 1.0
    return sorted(found.values(), key=lambda pair: sign * pair[1].metrics[pair[0].main.key])


def _weight(table: SummaryTable, row: SummaryRow) -> tuple[bool, int]:
    return bool(row.reported), len(table.rows)
