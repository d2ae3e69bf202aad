"""``report``: the tables of sweeps."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from orchestrator.cli.finding import command, find_sweeps, list_sweeps
from orchestrator.cli.list_ import print_list
from orchestrator.cli.options import Format, Results, Task
from orchestrator.cli.parsing import check_format
from results.words import print_line


def report(
    name: Annotated[
        list[str] | None,
        typer.Argument(help="Sweeps: NAME, TASK/NAME or OUT/TASK/NAME (default: the only one)."),
    ] = None,
    task: Task = None,
    out: Results = "runs",
    format_: Format = "terminal",
) -> int:
    """Print the tables of sweeps, also while they run.

    Without a name: the only sweep, or the list of sweeps where there are several (formats for
    files take all of them).
    """
    from results.claims_table import claims_table
    from results.details import details
    from results.export import FORMATS
    from results.summary import summarise
    from results.tables import render

    check_format(format_)
    if not name and format_ == "terminal":
        known = list_sweeps(out, task)
        if len(known) > 1:
            print_list(known, out)
            example = command("report", "/".join(known[0]), out=out)
            print_line(Console(), f"To print the tables of one: {example}")
            return 0
    sweeps = find_sweeps(name or (), task, out)
    if format_ == "terminal":
        console = Console()
        rendered = [render(one) for one in sweeps]  # all of them, or one line on what is wrong
        for one, tables_ in zip(sweeps, rendered, strict=True):
            console.rule(f"{one.manifest['task']}: {one.manifest['name']}", style="dim")
            console.print(tables_)
    else:
        tables: list[Any] = []
        for one in sweeps:
            summaries = summarise(one)
            claims = claims_table(one)
            tables += [*summaries, *details(one, summaries), *([claims] if claims else [])]
        print(FORMATS[format_](tables), end="")
    return 0
