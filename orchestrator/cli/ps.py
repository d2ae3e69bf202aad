"""``ps``: list the sweeps that run now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.completion import complete_sweep
from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import Results, Task
from orchestrator.cli.running_sweeps import driver_fields, find_running

if TYPE_CHECKING:
    from orchestrator.control.drivers import Driver


def ps(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Sweep, to list its running trials too: NAME, TASK/NAME or OUT/TASK/NAME.",
            autocompletion=complete_sweep,
        ),
    ] = None,
    task: Task = None,
    out: Results = "runs",
    json_: Json = False,
) -> int | Outcome:
    """List the sweeps that run now: state, progress, and the process that runs each."""
    from orchestrator.control.request import running_sweeps

    found = running_sweeps(out, task) if name is None else [find_running(name, task, out)]
    drivers = [driver for sweep in found for driver in sweep.drivers]
    if json_:
        return Outcome(fields={"sweeps": [driver_fields(driver) for driver in drivers]})
    _print(drivers, out, with_trials=name is not None)
    return 0


def _print(drivers: list[Driver], out: str, *, with_trials: bool) -> None:
    from rich.console import Console

    from orchestrator.view.attached import driver_table, trial_table
    from results.redaction import redact
    from results.text import print_line

    if not drivers:
        print_line(Console(), f"No sweep under {redact(out)} is running.")
        return
    Console().print(driver_table(drivers))
    for driver in drivers if with_trials else ():
        if driver.progress.running:
            Console().print()
            Console().print(trial_table(driver.progress.running))
