"""``verify``: run some trials of a sweep again and compare the numbers."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import Engine, Results, SweepName, Task
from orchestrator.cli.parsing import check_tolerance
from orchestrator.planning.stored_sweeps import find_sweep
from tasks.contract import RequestError


def verify(
    name: SweepName,
    share: Annotated[
        float, typer.Option(help="Share of the finished trials to run again, at least one trial.")
    ] = 0.1,
    seed: Annotated[int, typer.Option(help="Seed for choosing the trials.")] = 0,
    tolerance: Annotated[
        float | None,
        typer.Option(help="Absolute and relative tolerance (default: the task's, or 1e-6)."),
    ] = None,
    engine: Engine = "ray",
    task: Task = None,
    out: Results = "runs",
    json_: Json = False,
) -> int | Outcome:
    """Run a sample of trials again, and compare.

    The exit status is 0 if all numbers agree, otherwise 1. Trials are rebuilt from their rows, and
    the sweep does not change.
    """
    from orchestrator.sharing.verify import verify as run_verify

    if not 0 < share <= 1:
        raise RequestError(f"--share must be above 0 and at most 1, but is {share:g}")
    check_tolerance(tolerance)
    if engine not in ("ray", "local"):
        raise RequestError(f"--engine takes ray or local, but got {engine!r}")
    sweep = find_sweep(name, task, out)
    found = run_verify(sweep, share=share, seed=seed, tolerance=tolerance, engine=engine)
    if not json_:
        return found.status
    fields = {
        "sweep": sweep.manifest.full_name,
        "tolerance": found.tolerance,
        "num_finished": found.num_finished,
        "trials": [
            {
                "trial_id": each.trial_id,
                "seed": each.seed,
                "agrees": each.agrees,
                "text": each.text,
                "differences": [
                    dict(zip(("what", "recorded", "now"), difference, strict=True))
                    for difference in each.differences
                ],
            }
            for each in found.verdicts
        ],
    }
    return Outcome(status=found.status, fields=fields)
