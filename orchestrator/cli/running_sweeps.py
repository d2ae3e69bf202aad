"""Finds the processes that run sweeps, for the commands that watch and steer them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from orchestrator.planning.stored_sweeps import command, locate
from tasks.contract import RequestError

if TYPE_CHECKING:
    from orchestrator.control.drivers import Driver
    from orchestrator.control.request import RunningSweep
    from results.tables.overview import Overview


def find_running(text: str, task: str | None, out: str, *, to_resume: bool = False) -> RunningSweep:
    """Return the running sweep that NAME, TASK/NAME or OUT/TASK/NAME refers to.

    With ``to_resume``, the error of a sweep that is not running says how to continue it.

    Raises:
        RequestError: if there is no such sweep, or it is not running.
    """
    from orchestrator.control.request import open_running

    root, of, name = locate(text, task, out)
    sweep = open_running(root, of, name)
    if not sweep.drivers:
        raise RequestError(_not_running(sweep, root, to_resume=to_resume))
    return sweep


def check_not_running(sweep: RunningSweep, root: str) -> Overview:
    """Return the state of a sweep of which no running process is known.

    Raises:
        RequestError: if a process may run it that this machine cannot see, or that is starting.
    """
    from orchestrator.control.drivers import read_drivers
    from results.tables.overview import overview

    task, _, name = sweep.full_name.partition("/")
    lost = [each for each in read_drivers(sweep.filesystem, sweep.path) if each.is_elsewhere()]
    if lost:
        raise RequestError(
            f"{sweep.full_name} does not answer: {lost[-1].describe()} last wrote its state at "
            f"{lost[-1].last_seen()}; look for it there"
        )
    found = overview(root, task, name)
    if found.is_running:
        raise RequestError(
            f"{sweep.full_name} is starting, or an older version runs it; try again in a moment"
        )
    return found


def _not_running(sweep: RunningSweep, root: str, *, to_resume: bool) -> str:
    """Say that no process runs a sweep, what its state is, and how to continue it."""
    from results.storage.reading import read_sweep

    task, _, name = sweep.full_name.partition("/")
    found = check_not_running(sweep, root)
    state = f"{sweep.full_name} is not running ({found.state}, {found.trials} trials)"
    if to_resume and found.state != "damaged":
        words = read_sweep(root, task, name).manifest.command
        again = words[0] if len(words) == 1 else shlex.join(words)
        return f"{state}, and `resume` continues a paused sweep; run its command again: {again}"
    return f"{state}; {command('ps', out=root)} lists the sweeps that are"


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
