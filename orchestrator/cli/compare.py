"""``compare``: compare two sweeps."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from orchestrator.cli.completion import complete_sweep
from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import Format, Results, SweepName, TableName, Task, To
from orchestrator.planning.stored_sweeps import find_sweep


def compare(
    first: SweepName,
    second: Annotated[
        str,
        typer.Argument(help="Another sweep, named in the same way.", autocompletion=complete_sweep),
    ],
    task: Task = None,
    out: Results = "runs",
    format_: Format = None,
    to: To = None,
    table: TableName = None,
    json_: Json = False,
) -> int | Outcome:
    """Compare two sweeps of a task, with paired tests.

    The table has the differences with their confidence intervals.
    """
    from orchestrator.reports.export_tables import check_options, export
    from orchestrator.reports.json_fields import table_fields
    from results.compare.sweeps import compare as compare_sweeps
    from results.compare.view import render_comparison
    from results.export import make_document

    format_ = check_options(format_, to, table, as_json=json_)
    sweeps = [find_sweep(name, task, out) for name in (first, second)]
    names = [sweep.manifest.name for sweep in sweeps]
    shown = (first, second) if names[0] == names[1] else (names[0], names[1])
    tables = compare_sweeps(sweeps[0], sweeps[1], shown)
    if format_ == "terminal" and not json_:
        Console().print(render_comparison(*tables))
        return 0
    named = zip(("sweeps", "configurations"), tables, strict=True)
    document = make_document(sweeps[0].manifest.task, "-and-".join(names), list(named))
    if json_:
        fields = {"first": shown[0], "second": shown[1], "tables": table_fields(document)}
        return Outcome(fields=fields)
    export([document], format_, to=to, table=table)
    return 0
