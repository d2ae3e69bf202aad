"""``show``: show a sweep, or one of its trials."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.finding import command, find_sweep
from orchestrator.cli.options import Results, SweepName, Task


def show(
    name: SweepName,
    trial: Annotated[str | None, typer.Argument(help="Trial id or a unique prefix.")] = None,
    task: Task = None,
    out: Results = "runs",
    save: Annotated[
        str | None, typer.Option(help="Write the curves to FILE.png or FILE.svg.")
    ] = None,
    pictures: Annotated[
        str | None, typer.Option(help="Write a trial's pictures to FILE.png as a contact sheet.")
    ] = None,
) -> int:
    """Show a sweep's origin and trials, or one trial in full."""
    from orchestrator.reports.show import show as show_sweep

    given = ["--task", task] if task else []
    listing = command("show", name, *given, out=out)
    show_sweep(find_sweep(name, task, out), trial, listing, save=save, pictures=pictures)
    return 0
