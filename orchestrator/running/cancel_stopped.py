"""Cancels a trial of a sweep that no process runs, so that the next run skips it."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

from orchestrator.execution.events import Failure
from orchestrator.execution.trial_results import RunningTrial
from orchestrator.execution.unstarted import find_trial
from orchestrator.running.plan import make_plan
from orchestrator.running.run import Run
from orchestrator.running.stored_request import request_of
from results.storage.filesystem import open_filesystem
from results.storage.reading import Sweep, read_sweep
from results.storage.run_lock import exclusive_lock
from tasks.contract import RequestError, SweepError


def cancel_stopped(out: str, task: str, name: str, text: str, reason: str) -> str:
    """Record a trial as cancelled, with the steps of its checkpoint, and return its id.

    Args:
        out: the folder or URI of the results.
        task: the task of the sweep, which must not be running.
        name: the name of the sweep.
        text: the trial's id, or a unique prefix.
        reason: why it is cancelled.

    Raises:
        RequestError: if there is no such unfinished trial, the sweep cannot be planned again, or a
            run of it has just started.
        StoreError: if the results cannot be read or written.
    """
    filesystem, base = open_filesystem(out)
    with exclusive_lock(filesystem, f"{base}/{task}/{name}") as is_free:
        if not is_free:
            raise RequestError(f"a run of {task}/{name} has just started; try again in a moment")
        # Only now: a run that has just ended may have changed them.
        sweep = read_sweep(out, task, name)
        return _cancel(sweep, _open(sweep, out), text, reason)


def _cancel(sweep: Sweep, run: Run, text: str, reason: str) -> str:
    """Write the row of a cancelled trial, delete its checkpoint, and return its id."""
    try:
        trial = find_trial(text, run.unfinished())
    except LookupError as error:
        raise RequestError(f"{sweep.manifest.full_name} is not running: {error}") from None
    saved = {one.trial_id: one.steps for one in run.checkpoints.interrupted_trials()}
    started = {row["trial_id"]: row["started"] for row in sweep.rows()}  # of interrupted trials
    ended = RunningTrial(
        trial=trial,
        started=started.get(trial.id) or datetime.now(UTC),
        steps={timed.step.at: timed for timed in saved.get(trial.id, ())},
    )
    failure = Failure(reason=reason, log="")
    run.store.add([ended.result("cancelled", failure, run.plan.task.metric)])
    run.checkpoints.delete(trial.id)
    return trial.id


def _open(sweep: Sweep, out: str) -> Run:
    """Plan the sweep again from its ``sweep.json``, which does not list the trials."""
    manifest = sweep.manifest
    try:
        plan = make_plan(dataclasses.replace(request_of(manifest), out=out))
    except SweepError as error:
        raise RequestError(
            f"{manifest.full_name} is not running, and its trials are not known without its "
            f"command ({error}); run it again and cancel the trial then"
        ) from None
    return Run(plan)
