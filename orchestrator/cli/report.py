"""``report``: print or write the tables of sweeps."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from orchestrator.cli.completion import complete_sweep
from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.list_ import print_list
from orchestrator.cli.options import (
    AllRows,
    Columns,
    Format,
    HidePublished,
    Limit,
    Results,
    Sort,
    TableName,
    Task,
    To,
    Where,
)
from orchestrator.planning.stored_sweeps import command, find_sweeps, list_sweeps
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
    where: Where = None,
    sort: Sort = None,
    columns: Columns = None,
    limit: Limit = None,
    json_: Json = False,
) -> int | Outcome:
    """Print the tables of sweeps, or write them to files.

    It also works while a sweep runs. Without a name, it prints the only sweep, or the list of
    sweeps if there are several; with --format, it writes all of them.
    """
    from orchestrator.reports.export_tables import check_options, export
    from orchestrator.reports.json_fields import report_fields
    from results.export import sweep_document
    from results.render.sweep_tables import render
    from results.tables.row_selection import RowSelection
    from results.tables.summary import MAX_ROWS

    format_ = check_options(format_, to, table, as_json=json_)
    selection = RowSelection(where=where, sort=sort, columns=columns, limit=limit)
    max_rows = None if all_rows else MAX_ROWS
    options: dict[str, Any] = {"published": not hide_published, "selection": selection}
    if not name and format_ == "terminal" and not json_ and selection.is_empty:
        known = list_sweeps(out, task)
        if len(known) > 1:
            print_list(known, out)
            example = command("report", "/".join(known[0]), out=out)
            print_line(Console(), f"To print the tables of one sweep: {example}")
            return 0
    sweeps = find_sweeps(name or (), task, out)
    if format_ == "terminal" and not json_:
        console = Console()
        # Render all before printing: if one is damaged, only the error is printed.
        rendered = [render(one, max_rows, **options) for one in sweeps]
        for one, tables in zip(sweeps, rendered, strict=True):
            console.rule(f"{one.manifest.task}: {one.manifest.name}", style="dim")
            console.print(tables)
        return 0
    documents = [sweep_document(one, max_rows, **options) for one in sweeps]
    if json_:
        return Outcome(fields=report_fields(sweeps, documents))
    export(documents, format_, to=to, table=table)
    return 0
