"""``list``: list sweeps."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.finding import list_sweeps
from orchestrator.cli.options import Format, Results
from orchestrator.cli.parsing import check_format


def list_(
    task: Annotated[str | None, typer.Option(help="Only sweeps of this task.")] = None,
    out: Results = "runs",
    format_: Format = None,
) -> int:
    """List sweeps with their state, best value and size.

    "running?" means that the sweep may be running, in a bucket or on another machine: it wrote
    results within the last hour and has not recorded its end.
    """
    format_ = "terminal" if format_ is None else format_
    check_format(format_)
    print_list(list_sweeps(out, task), out, format_)
    return 0


def print_list(found: list[tuple[str, str]], out: str, format_: str = "terminal") -> None:
    """Print one line per sweep."""
    from rich.console import Console

    from results.export import FORMATS, make_document
    from results.render.overview_view import OverviewView
    from results.tables.overview import overview, overview_table

    table = overview_table([overview(out, *each) for each in found])
    if format_ == "terminal":
        Console().print(OverviewView(table))
    else:
        print(FORMATS[format_]([make_document("all", "sweeps", [("sweeps", table)])]), end="")
