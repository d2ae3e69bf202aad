"""The running trials of a sweep, from the files of the processes that run it."""

from __future__ import annotations

from orchestrator.control.request import open_running
from results.page.running import LiveTrial, running_json


def find_running(root: str, task: str, name: str) -> str:
    """Return the running trials of a sweep as JSON for its page; "" if it does not run."""
    drivers = open_running(root, task, name).drivers
    if not drivers:
        return ""
    trials = [
        LiveTrial(
            trial_id=trial.trial_id,
            parameters=trial.parameters,
            step=trial.step,
            metrics=trial.metrics,
            curve=trial.curve,
            is_waiting=trial.is_waiting,
        )
        for driver in drivers
        for trial in driver.progress.running
    ]
    progress = drivers[-1].progress
    return running_json(trials, progress.metric, progress.step_unit)
