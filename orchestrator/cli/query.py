"""``query``: run a SQL query over all sweeps."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import Results
from orchestrator.planning.stored_sweeps import list_sweeps
from results.text import plural, print_line
from tasks.contract import RequestError


def query(
    sql: Annotated[
        str,
        typer.Argument(
            metavar="SQL",
            help="One SELECT over the tables trials, steps, samples and stages; - reads it from "
            "standard input.",
        ),
    ],
    task: Annotated[str | None, typer.Option(help="Only sweeps of this task.")] = None,
    out: Results = "runs",
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    parquet: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the result to this Parquet file.")
    ] = None,
    json_: Json = False,
) -> int | Outcome:
    """Query all sweeps with SQL.

    DuckDB runs the query on the stored results, which it cannot change.
    """
    from orchestrator.reports.files import check_target
    from orchestrator.reports.query import read_sweeps, write_parquet
    from results.query.database import run_query
    from results.query.view import QueryView, to_csv, to_fields

    given = [option for option, is_given in (("--csv", csv), ("--json", json_)) if is_given]
    given += ["--parquet"] if parquet is not None else []
    if len(given) > 1:
        raise RequestError(f"{' and '.join(given)} contradict each other; use one of them")
    if parquet is not None:
        check_target(parquet)
    sweeps = read_sweeps(out, list_sweeps(out, task))
    rows = run_query(sys.stdin.read() if sql == "-" else sql, sweeps)
    for part in sorted({part for sweep in sweeps for part in sweep.damaged}):
        print_line(Console(stderr=True), f"Warning: damaged, left out: {part}")
    if json_:
        return Outcome(fields=to_fields(rows))
    if csv:
        print(to_csv(rows), end="")
    elif parquet is not None:
        write_parquet(rows, parquet)
        print_line(Console(), f"Saved {parquet}: {plural(rows.num_rows, 'row')}.")
    else:
        Console().print(QueryView(rows))
    return 0
