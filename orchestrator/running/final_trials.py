"""Runs the trials of ``--final`` on the held-out split, from the kept weights.

They run like any trials, on the sweep's engine. Their results are written to a temporary folder,
``<sweep>/.final``.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.fs

from orchestrator.running.execute import run_trials
from orchestrator.running.recorded_plan import recorded_plan
from orchestrator.running.run import Run
from orchestrator.saving.checkpoints import Checkpoints, TimedStep
from results.storage.reading import Sweep
from results.storage.weights import weights_of
from tasks.contract import State, Step, StoreError, Task, Trial

SELECTION_STEP = -1  # ``Step.at`` of the metrics on the split that the row was selected on
FOLDER = ".final"


def initial_states(
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


def run_finals(
    run: Run,
    sweep: Sweep,
    finals: Mapping[str, Trial],
    states: Mapping[str, State],
    rows: Mapping[str, Mapping[str, Any]],
) -> dict[str, Sweep] | None:
    """Return each final trial's results by the id of its original trial; None if interrupted.

    ``run`` is the run of the sweep. Pausing or stopping it pauses or stops the final trials.
    """
    plan = run.plan
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
            plan.request,
            out=out,
            name=plan.name,
            budget=None,
            budget_trials=None,
            final=None,
            track=(),  # a tracker gets the test scores in the report
        )
        trials = list({trial.id: trial for trial in group.values()}.values())
        scored = run_trials(recorded_plan(plan.task, trials, request, plan.space.name), run)
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
