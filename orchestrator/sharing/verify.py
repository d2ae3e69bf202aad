"""``verify``: runs a sample of a sweep's trials again on this machine and compares the numbers."""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from orchestrator.functions.recorded import load_recorded_task
from orchestrator.request import Request
from orchestrator.running.execute import run_trials
from orchestrator.running.recorded import check_sources, recorded_trial
from orchestrator.running.recorded_plan import recorded_plan
from results.compare.cells import TOLERANCE
from results.compare.verification import (
    TrialVerdict,
    difference_table,
    environment_table,
    verdict_table,
    verify_trials,
)
from results.render.sweep_tables import DetailView
from results.storage.reading import Sweep
from results.text import plural, print_line
from tasks.contract import RequestError, Trial

INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What became of the trials that ran again."""

    status: int  # 0 if all agree, 1 if not, 130 if the run was interrupted
    tolerance: float
    num_finished: int  # finished trials of the sweep
    verdicts: Sequence[TrialVerdict] = ()


def verify(
    sweep: Sweep, *, share: float, seed: int, tolerance: float | None, engine: str
) -> Verified:
    """Run trials again, and print for each whether its numbers agree.

    Args:
        sweep: the sweep; it is not changed.
        share: share of the finished trials to run again, at least one trial.
        seed: seed for choosing the trials.
        tolerance: absolute and relative tolerance; None for the task's.
        engine: ray or local.

    Raises:
        RequestError: if no trial finished, or model or data have changed.
        StoreError: if this version of the task makes other trials.
    """
    task = load_recorded_task(sweep.manifest, "verify")
    rows = sample_rows(sweep, share, seed)
    trials = [recorded_trial(task, row) for row in rows]
    check_sources(task, trials[0])
    if tolerance is None:
        tolerance = max(TOLERANCE, task.tolerance)
    finished = sum(row["status"] == "finished" for row in sweep.current_rows())
    console = Console()
    line = f"Running {plural(len(trials), 'trial')} of {sweep.manifest.name} again"
    print_line(console, f"{line}, of {finished:,} finished.")
    with tempfile.TemporaryDirectory(prefix="orchestrator-verify-") as folder:
        name = sweep.manifest.name
        request = Request(task=task.name, name=name, out=folder, engine=engine, address="local")
        again = run_trials(recorded_plan(task, trials, request, sweep.manifest.space))
        if again is None:
            print_line(Console(stderr=True), "Interrupted. Nothing was compared or kept.")
            return Verified(status=INTERRUPTED, tolerance=tolerance, num_finished=finished)
        verdicts = _in_order(verify_trials(sweep, again, tolerance), trials)
        environment = environment_table(sweep, again)
    console.print(DetailView(verdict_table(verdicts, tolerance, finished)))
    status = 0 if all(each.agrees for each in verdicts) else 1
    verified = Verified(
        status=status, tolerance=tolerance, num_finished=finished, verdicts=verdicts
    )
    if status == 0:
        return verified
    differences = difference_table(verdicts)
    if differences.rows:
        console.print(Text(), DetailView(differences), Text(), DetailView(environment), sep="\n")
    return verified


def sample_rows(sweep: Sweep, share: float, seed: int) -> list[Mapping[str, Any]]:
    """Return a random share of the rows of finished trials, at least one.

    Raises:
        RequestError: if no trial finished.
    """
    rows = [row for row in sweep.current_rows() if row["status"] == "finished"]
    if not rows:
        raise RequestError(
            f"no trial of {sweep.manifest.name} finished, so there is nothing to run again"
        )
    rows.sort(key=lambda row: str(row["trial_id"]))  # so that the choice depends on the seed alone
    number = max(1, math.ceil(round(share * len(rows), 9)))
    return random.Random(seed).sample(rows, number)


def _in_order(verdicts: Sequence[TrialVerdict], trials: Sequence[Trial]) -> list[TrialVerdict]:
    positions = {trial.id: position for position, trial in enumerate(trials)}
    return sorted(verdicts, key=lambda each: positions[each.trial_id])
