"""Finds the processes that run sweeps, for the commands that watch and steer them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.planning.stored_sweeps import command, locate
from tasks.contract import RequestError

if TYPE_CHECKING:
    from orchestrator.control.drivers import Driver
    from orchestrator.control.request import RunningSweep


def find_running(text: str, task: str | None, out: str) -> RunningSweep:
    """Return the running sweep that NAME, TASK/NAME or OUT/TASK/NAME refers to.

    Raises:
        RequestError: if there is no such sweep, or it is not running.
    """
    from orchestrator.control.request import open_running

    root, of, name = locate(text, task, out)
    sweep = open_running(root, of, name)
    if not sweep.drivers:
        listing = command("ps", out=root)
        raise RequestError(f"{sweep.full_name} is not running; {listing} lists the sweeps that are")
    return sweep


def driver_fields(driver: Driver) -> dict[str, Any]:
    """Return the fields of a driver in the documents of ``--json``."""
    progress = driver.progress
    return {
        "sweep": driver.sweep,
        "state": driver.state,
        "host": driver.host,
        "pid": driver.pid,
        "since": driver.since,
        "engine": driver.engine,
        "log": driver.log,
        "trials_by_status": dict(progress.counts),
        "num_trials": progress.total,
        "share_done": progress.share,
        "time_left": progress.left or None,
        "best": progress.best or None,
        "num_workers": progress.num_workers,
        "running": [
            {
                "trial_id": trial.trial_id,
                "parameters": trial.parameters,
                "step": trial.step,
                "metrics": trial.metrics,
                "is_waiting": trial.is_waiting,
            }
            for trial in progress.running
        ],
    }
