"""``--final test``: scores the best rows of a complete sweep once, on a held-out split.

Each trial of the best row and of rows tied with it becomes a trial on the other split that starts
from the kept weights. It runs like any trial, on the sweep's engine. Its results are written to a
temporary folder, ``<sweep>/.final``, and then recorded in ``looks.json``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow.fs
from rich.console import Console
from rich.text import Text

from orchestrator.running.execute import run_trials
from orchestrator.running.plan import Plan
from orchestrator.running.recorded import recorded_trial
from orchestrator.running.recorded_plan import recorded_plan
from orchestrator.saving.checkpoints import Checkpoints, TimedStep
from orchestrator.saving.keep_policy import best_rows
from results.render.sweep_tables import DetailView
from results.statistics import Estimate, difference, estimate
from results.storage.filesystem import redact
from results.storage.reading import Sweep
from results.storage.weights import weights_of
from results.tables.cell_text import format_plain
from results.tables.looks import (
    FinalRow,
    Look,
    describe_number,
    final_table,
    read_looks,
    write_looks,
)
from results.tables.scores import Scores
from results.tables.summary import SummaryRow, SummaryTable, summarize
from results.text import plural, print_line
from tasks.contract import RequestError, State, Step, StoreError, Task, Trial

SELECTION_STEP = -1  # ``Step.at`` of the metrics on the split that the row was selected on
FOLDER = ".final"
INTERRUPTED = 130


def score_final(plan: Plan, sweep: Sweep, split: str) -> int:
    """Score the best rows on a split, print the scores on both splits, and record the look.

    Returns:
        The exit status.

    Raises:
        RequestError: if the best rows have no weights.
        StoreError: if a file cannot be read or written.
    """
    chosen = _choose(plan, sweep)
    looks = read_looks(sweep)
    look = Look(
        split=split,
        began=datetime.now(UTC).isoformat(),
        command=["python", "-m", "orchestrator", *map(redact, sys.argv[1:])],
        trials=list(dict.fromkeys(t for _, row in chosen for t in row.trial_ids)),
    )
    looks.append(look)
    rows = {row["trial_id"]: row for row in sweep.rows()}
    task = plan.task
    finals = {t: task.final(recorded_trial(task, rows[t]), split) for t in look.trials}
    states = _states(task, sweep, [rows[t] for t in finals], finals)
    notice = describe_number(looks, len(looks) - 1)
    if notice:
        Console().print(Text(notice, style="bold yellow"), soft_wrap=True)
    write_looks(sweep, looks)
    print_line(Console(), f"Scoring {plural(len(look.trials), 'trial')} on {split}.")
    found = _run(plan, sweep, finals, states, rows)
    if found is None:
        print_line(Console(stderr=True), "Interrupted. The look is recorded without values.")
        return INTERRUPTED
    look.rows = [_final_row(plan, sweep, table, row, finals, found) for table, row in chosen]
    look.ended = datetime.now(UTC).isoformat()
    write_looks(sweep, looks)
    table = final_table(sweep, looks)
    assert table is not None
    Console().print(Text(), DetailView(table), sep="\n")
    return 0


# --- which rows -----------------------------------------------------------------------------------


def _choose(plan: Plan, sweep: Sweep) -> list[tuple[SummaryTable, SummaryRow]]:
    """Return the best row of each table and the rows tied with it, if they have weights."""
    maximize = plan.task.metric.direction == "maximize"
    chosen = [
        (table, row)
        for table in summarize(sweep, None)
        for row in best_rows(table, maximize=maximize)
        if row.trial_ids
    ]
    if not chosen:
        raise RequestError(
            "--final requires a configuration of which all seeds finished, but none has; see the "
            "failed trials with `show`"
        )
    if not plan.task.has_weights:
        return chosen
    rows = [row for row in sweep.rows() if row["status"] == "finished"]
    kept = weights_of(sweep, rows).keys()
    with_weights = [(table, row) for table, row in chosen if kept >= set(row.trial_ids)]
    num_missing = len(chosen) - len(with_weights)
    advice = "run the command with --keep best to run them again and keep their weights"
    if any(not any(table is other for other, _ in with_weights) for table, _ in chosen):
        raise RequestError(f"--final: the weights of the best row were not kept; {advice}")
    if num_missing:
        line = f"Left out {plural(num_missing, 'tied row')} without weights; {advice}."
        print_line(Console(stderr=True), line)
    return with_weights


def _states(
    task: Task, sweep: Sweep, rows: Sequence[Mapping[str, Any]], finals: Mapping[str, Trial]
) -> dict[str, State]:
    """Return the state that each final trial starts from, by the id of the original trial."""
    if not task.has_weights:
        return {}
    stores, states = weights_of(sweep, rows), {}
    for row in rows:
        trial_id = row["trial_id"]
        weights = stores[trial_id][0].read(trial_id)
        if weights is None:
            raise StoreError(
                f"the weights of trial {trial_id} were removed just now; run the command again"
            )
        states[trial_id] = task.restore(finals[trial_id], weights.arrays, weights.values)
    return states


# --- scoring --------------------------------------------------------------------------------------


def _run(
    plan: Plan,
    sweep: Sweep,
    finals: Mapping[str, Trial],
    states: Mapping[str, State],
    rows: Mapping[str, Mapping[str, Any]],
) -> dict[str, Sweep] | None:
    """Return each final trial's results by the id of its original trial; None if interrupted."""
    found: dict[str, Sweep] = {}
    for number, group in enumerate(_groups(finals)):
        out = f"{sweep.root.rstrip('/')}/{plan.task.name}/{plan.name}/{FOLDER}/{number}"
        _remove(sweep, number)
        checkpoints = Checkpoints(f"{out}/.checkpoints")
        for trial_id, state in states.items():
            if trial_id in group:
                step = Step(at=SELECTION_STEP, metrics=_metrics(rows[trial_id]))
                checkpoints.save(group[trial_id].id, state, [TimedStep(step=step, seconds=0.0)])
        request = dataclasses.replace(
            plan.request, out=out, name=plan.name, budget=None, budget_trials=None, final=None
        )
        trials = list({trial.id: trial for trial in group.values()}.values())
        scored = run_trials(recorded_plan(plan.task, trials, request, plan.space.name))
        if scored is not None:
            _check(scored, plan.task.has_weights)
            found |= dict.fromkeys(group, _loaded(scored))
        _remove(sweep, number)
        if scored is None:
            return None
    return found


def _groups(finals: Mapping[str, Trial]) -> list[dict[str, Trial]]:
    """Split final trials into groups without equal ids.

    Two trials that differ only in parameters of their training give final trials with equal ids.
    """
    groups: list[dict[str, Trial]] = []
    for trial_id, trial in finals.items():
        for group in groups:
            if trial.id not in {each.id for each in group.values()}:
                group[trial_id] = trial
                break
        else:
            groups.append({trial_id: trial})
    return groups


def _metrics(row: Mapping[str, Any]) -> dict[str, float]:
    named = {k.removeprefix("metric."): v for k, v in row.items() if k.startswith("metric.")}
    return {name: value for name, value in named.items() if value is not None}


def _check(scored: Sweep, with_weights: bool) -> None:
    """Check that the final trials finished, and that they started from the kept weights.

    Raises:
        StoreError: if a trial failed, or its worker could not read the weights.
    """
    for row in scored.rows():
        if row["status"] != "finished":
            raise StoreError(f"scoring failed: {row['reason'] or row['status']}")
        steps = [step["at"] for step in scored.steps_of(row["trial_id"])]
        if with_weights and SELECTION_STEP not in steps:
            raise StoreError(
                "a worker could not read the kept weights, so its score does not count; use an "
                "--out that all nodes share"
            )


def _loaded(sweep: Sweep) -> Sweep:
    """Read all tables of a sweep, because its files will be deleted."""
    for table in ("trials", "steps", "samples"):
        getattr(sweep, table)
    return sweep


def _remove(sweep: Sweep, number: int) -> None:
    for path in (f"{sweep.path}/{FOLDER}/{number}", f"{sweep.path}/{FOLDER}"):
        if path.endswith(FOLDER):
            inside = pyarrow.fs.FileSelector(path, allow_not_found=True)
            if sweep.filesystem.get_file_info(inside):
                return
        with contextlib.suppress(OSError):  # it does not exist
            sweep.filesystem.delete_dir(path)


# --- both splits ----------------------------------------------------------------------------------


def _final_row(
    plan: Plan,
    sweep: Sweep,
    table: SummaryTable,
    row: SummaryRow,
    finals: Mapping[str, Trial],
    found: Mapping[str, Sweep],
) -> FinalRow:
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
