"""Computes a row of ``looks.json``: the scores of a configuration on both splits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from orchestrator.running.plan import Plan
from orchestrator.running.recorded import recorded_trial
from results.statistics import Estimate, difference, estimate
from results.storage.reading import Sweep
from results.tables.cell_text import format_plain
from results.tables.looks import FinalRow
from results.tables.scores import Scores
from results.tables.summary import SummaryRow, SummaryTable
from tasks.contract import Trial


def final_row(
    plan: Plan,
    sweep: Sweep,
    table: SummaryTable,
    row: SummaryRow,
    finals: Mapping[str, Trial],
    found: Mapping[str, Sweep],
) -> FinalRow:
    """Return the scores of one row.

    Args:
        plan: the plan of the sweep.
        sweep: the sweep, with the scores on its split.
        table: the table of the row.
        row: the row.
        finals: the trials on the held-out split, by the id of the original trial.
        found: their results, by the id of the original trial.
    """
    name = plan.task.metric.name
    before = {each["trial_id"]: each for each in sweep.rows()}
    after = [
        next(each for each in found[t].rows() if each["trial_id"] == finals[t].id)
        for t in row.trial_ids
    ]
    metrics = {
        key: float(np.mean([each[key] for each in after]))
        for key in after[0]
        if key.startswith("metric.") and all(each[key] is not None for each in after)
    }
    ours = Scores(sweep, name)
    val = ours.matrix(row.trial_ids)
    parts = [Scores(found[t], name).matrix([finals[t].id]) for t in row.trial_ids]
    test = None if any(part is None for part in parts) else np.concatenate(parts, axis=1)
    gap = None
    if val is not None and test is not None:
        gap = difference(val, test, same_units=False, aggregate=ours.aggregate).estimate
    params = [column.key.removeprefix("param.") for column in table.params]
    values = {column.key: column.label for column in table.params}
    shown = [f"{values[f'param.{p}']} {format_plain(row.params.get(p))}" for p in params]
    return FinalRow(
        table=table.title,
        configuration=", ".join(shown) or row.trial_ids[0][: table.id_digits],
        mark="tie" if row.mark == "tie" else "best",
        trial_ids=list(row.trial_ids),
        chosen_on=str(recorded_trial(plan.task, before[row.trial_ids[0]]).params.split),
        val=float(np.mean([before[t][f"metric.{name}"] for t in row.trial_ids])),
        test=metrics[f"metric.{name}"],
        val_interval=_bounds(None if val is None else estimate(val, ours.aggregate)),
        test_interval=_bounds(None if test is None else estimate(test, ours.aggregate)),
        difference_interval=_bounds(gap),
        metrics=metrics,
    )


def _bounds(found: Estimate | None) -> tuple[float, float] | None:
    return None if found is None or np.isnan(found.low) else (found.low, found.high)
