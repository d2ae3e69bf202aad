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
from results.storage.reading import Sweep
from results.storage.run_lock import run_lock
from tasks.contract import RequestError, SweepError


def cancel_stopped(sweep: Sweep, out: str, text: str, reason: str) -> str:
    """Record a trial as cancelled, with the steps of its checkpoint, and return its id.

    Args:
        sweep: the sweep, which must not be running.
        out: the folder or URI of its results.
        text: the trial's id, or a unique prefix.
        reason: why it is cancelled.

    Raises:
        RequestError: if there is no such unfinished trial, or the sweep cannot be planned again.
        StoreError: if the results cannot be written.
    """
    run = _open(sweep, out)
    with run_lock(run.store.filesystem, run.store.path):
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
