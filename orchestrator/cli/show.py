"""``show``: show a sweep, or one of its trials."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.completion import complete_graphics
from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import (
    Columns,
    Limit,
    Results,
    Sort,
    SweepName,
    Task,
    Where,
)
from orchestrator.planning.stored_sweeps import command, find_sweep
from tasks.contract import RequestError


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
    graphics: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="How the terminal shows pictures: auto, kitty (Kitty's protocol), sixel, blocks "
            "(half blocks), or none.",
            autocompletion=complete_graphics,
        ),
    ] = "auto",
    where: Where = None,
    sort: Sort = None,
    columns: Columns = None,
    limit: Limit = None,
    json_: Json = False,
) -> int | Outcome:
    """Show a sweep's origin and trials, or one trial in full."""
    from orchestrator.reports.show import show as show_sweep
    from orchestrator.reports.show import show_fields
    from results.tables.row_selection import RowSelection

    selection = RowSelection(where=where, sort=sort, columns=columns, limit=limit)
    if trial is not None and not selection.is_empty:
        raise RequestError(
            "--where, --sort, --columns and --limit apply to the list of trials; remove them, or "
            f"remove {trial}"
        )
    given = ["--task", task] if task else []
    listing = command("show", name, *given, out=out)
    sweep = find_sweep(name, task, out)
    if json_:
        if save is not None or pictures is not None:
            raise RequestError("--json writes no files; remove --save and --pictures")
        return Outcome(fields=show_fields(sweep, trial, listing, selection))
    show_sweep(
        sweep,
        trial,
        listing,
        save=save,
        pictures=pictures,
        graphics=graphics,
        selection=selection,
    )
    return 0
