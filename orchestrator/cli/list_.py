"""``list``: the sweeps there are."""

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
    """List sweeps: state, trials done, best value, size, start, model and data.

    "running?" is a sweep that has not recorded its end and wrote something within the last hour,
    where that cannot be known: in a bucket, or from another machine.
    """
    format_ = "terminal" if format_ is None else format_
    check_format(format_)
    print_list(list_sweeps(out, task), out, format_)
    return 0


def print_list(found: list[tuple[str, str]], out: str, format_: str = "terminal") -> None:
    """Print one line a sweep."""
    from rich.console import Console

    from results.export import FORMATS, make_document
    from results.render.overview_view import OverviewView
    from results.tables.overview import overview, overview_table

    table = overview_table([overview(out, *each) for each in found])
    if format_ == "terminal":
        Console().print(OverviewView(table))
    else:
        print(FORMATS[format_]([make_document("all", "sweeps", [("sweeps", table)])]), end="")
