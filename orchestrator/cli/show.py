"""``show``: one sweep, or one of its trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console

from orchestrator.cli.finding import command, find_sweep
from orchestrator.cli.options import Results, SweepName, Task
from tasks.contract import RequestError


def show(
    name: SweepName,
    trial: Annotated[
        str | None, typer.Argument(help="Trial: its id or a unique prefix of it.")
    ] = None,
    task: Task = None,
    out: Results = "runs",
    save: Annotated[
        str | None, typer.Option(help="Write the curves to FILE.png or FILE.svg.")
    ] = None,
    pictures: Annotated[
        str | None, typer.Option(help="Write a trial's pictures to FILE.png as a contact sheet.")
    ] = None,
) -> int:
    """Show where a sweep comes from and its trials, or one trial in full."""
    from results.charts import sweep_charts, trial_charts
    from results.figures import figure_of
    from results.pictures import contact_sheet
    from results.show import find_trial, pictures_of, render_sweep, render_trial

    found = find_sweep(name, task, out)
    if save and not save.endswith((".png", ".svg")):
        raise RequestError(f"--save takes FILE.png or FILE.svg, but got {save!r}")
    given = ["--task", task] if task else []
    row = (
        None if trial is None else find_trial(found, trial, command("show", name, *given, out=out))
    )
    if pictures:
        if row is None or not pictures.endswith(".png"):
            raise RequestError("--pictures takes FILE.png, and one trial: show NAME TRIAL")
        groups = pictures_of(found, row)
        if not groups:
            raise RequestError(f"trial {row['trial_id']} has no pictures")
        write_to(pictures, contact_sheet(groups).save)
    if save:
        charts = trial_charts(found, row) if row else sweep_charts(found, found.rows())
        if not charts:
            raise RequestError(f"trial {trial} has no two steps to draw a curve of")
        x_label = found.manifest.get("step_unit", "step")
        write_to(save, figure_of(charts, x_label).savefig)
    Console().print(render_trial(found, row) if row else render_sweep(found))
    return 0


def write_to(path: str, save: Callable[[str], object]) -> None:
    """Save to a path that the user gave."""
    try:
        save(path)
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror}") from error
