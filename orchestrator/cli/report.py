"""``report``: print or write the tables of sweeps."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from orchestrator.cli.completion import complete_sweep
from orchestrator.cli.finding import command, find_sweeps, list_sweeps
from orchestrator.cli.list_ import print_list
from orchestrator.cli.options import (
    AllRows,
    Format,
    HidePublished,
    Results,
    TableName,
    Task,
    To,
)
from results.text import print_line


def report(
    name: Annotated[
        list[str] | None,
        typer.Argument(
            help="Sweeps: NAME, TASK/NAME or OUT/TASK/NAME (default: the only one).",
            autocompletion=complete_sweep,
        ),
    ] = None,
    task: Task = None,
    out: Results = "runs",
    format_: Format = None,
    to: To = None,
    table: TableName = None,
    all_rows: AllRows = False,
    hide_published: HidePublished = False,
) -> int:
    """Print the tables of sweeps, or write them to files.

    It also works while a sweep runs. Without a name, it prints the only sweep, or the list of
    sweeps if there are several; with --format, it writes all of them.
    """
    from orchestrator.reports.export_tables import check_options, export
    from results.export import sweep_document
    from results.render.sweep_tables import render
    from results.tables.summary import MAX_ROWS

    format_ = check_options(format_, to, table)
    max_rows = None if all_rows else MAX_ROWS
    if not name and format_ == "terminal":
        known = list_sweeps(out, task)
        if len(known) > 1:
            print_list(known, out)
            example = command("report", "/".join(known[0]), out=out)
            print_line(Console(), f"To print the tables of one sweep: {example}")
            return 0
    sweeps = find_sweeps(name or (), task, out)
    if format_ == "terminal":
        console = Console()
        # Render all before printing: if one is damaged, only the error is printed.
        rendered = [render(one, max_rows, published=not hide_published) for one in sweeps]
        for one, tables in zip(sweeps, rendered, strict=True):
            console.rule(f"{one.manifest.task}: {one.manifest.name}", style="dim")
            console.print(tables)
    else:
        documents = [sweep_document(one, max_rows, published=not hide_published) for one in sweeps]
        export(documents, format_, to=to, table=table)
    return 0
