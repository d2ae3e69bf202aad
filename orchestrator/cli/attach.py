"""``attach``: watch a sweep that another process runs."""

from __future__ import annotations

from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import Results, SweepName, Task
from orchestrator.cli.running_sweeps import driver_fields, find_running


def attach(
    name: SweepName, task: Task = None, out: Results = "runs", json_: Json = False
) -> int | Outcome:
    """Watch a running sweep until it ends. Ctrl-C stops watching, not the sweep."""
    from rich.console import Console

    from orchestrator.view.attached import watch

    sweep = find_running(name, task, out)
    try:
        last = watch(sweep, sweep.drivers[-1], Console(stderr=json_))
    except KeyboardInterrupt:
        return 0 if not json_ else Outcome(fields={"sweep": driver_fields(sweep.drivers[-1])})
    return Outcome(fields={"sweep": driver_fields(last)}) if json_ else 0
