"""``check``: test the claims of a sweep, or compare its numbers with another sweep."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import Format, Results, SweepName, TableName, Task, To
from orchestrator.cli.parsing import check_tolerance
from orchestrator.planning.stored_sweeps import find_sweep_or_archive
from tasks.contract import RequestError


def check(
    name: SweepName,
    against: Annotated[
        str | None,
        typer.Option(help="Compare every number with this sweep or archive instead."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Also fail on undecided and untested claims.")
    ] = False,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="With --against: absolute and relative tolerance (default: the task's, at least "
            "1e-6)."
        ),
    ] = None,
    task: Task = None,
    out: Results = "runs",
    format_: Format = None,
    to: To = None,
    table: TableName = None,
    json_: Json = False,
) -> int | Outcome:
    """Test the claims of the paper.

    The exit status is 0 if no claim is contradicted, otherwise 1.
    """
    from orchestrator.reports import json_fields
    from orchestrator.reports.check import check_claims, print_claims, print_differences
    from orchestrator.reports.export_tables import check_options
    from results.compare.cells import compare_cells, stated_tolerance

    format_ = check_options(format_, to, table, as_json=json_)
    check_tolerance(tolerance)
    if strict and against is not None:
        raise RequestError("--strict applies to claims, not to --against; remove one of the two")
    sweep = find_sweep_or_archive(name, task, out)
    if against is None:
        checked = check_claims(sweep, strict=strict)
        if json_:
            fields = json_fields.claims_fields(sweep, checked.claims, checked.document)
            return Outcome(status=checked.status, fields=fields)
        print_claims(checked, format_, to=to, table=table)
        return checked.status
    other = find_sweep_or_archive(against, task, out)
    names = (sweep.manifest.name, other.manifest.name)
    shown = (name, against) if names[0] == names[1] else names
    if tolerance is None:
        tolerance = stated_tolerance(sweep, other)
    found = compare_cells(sweep, other, shown, tolerance)
    status = int(found.num_differences > 0)
    if json_:
        return Outcome(status=status, fields=json_fields.difference_fields(found, shown, tolerance))
    print_differences(found, sweep, format_, to=to, table=table)
    return status
