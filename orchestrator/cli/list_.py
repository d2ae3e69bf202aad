"""``list``: list sweeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import Format, Results
from orchestrator.planning.stored_sweeps import list_sweeps

if TYPE_CHECKING:
    from results.tables.overview import Overview


def list_(
    task: Annotated[str | None, typer.Option(help="Only sweeps of this task.")] = None,
    out: Results = "runs",
    format_: Format = None,
    json_: Json = False,
) -> int | Outcome:
    """List sweeps with their state, best value and size.

    "running?" means that the sweep may be running, in a bucket or on another machine: it wrote
    results within the last hour and has not recorded its end. A running sweep may also be
    "pausing", "paused" or "stopping".
    """
    from orchestrator.reports.export_tables import check_options

    format_ = check_options(format_, None, None, as_json=json_)
    found = list_sweeps(out, task)
    if json_:
        return list_as_json(found, out)
    print_list(found, out, format_)
    return 0


def list_as_json(found: list[tuple[str, str]], out: str) -> Outcome:
    """Return the document with one entry per sweep."""
    from orchestrator.reports.json_fields import overview_fields

    return Outcome(fields=overview_fields(_overviews(found, out)))


def print_list(found: list[tuple[str, str]], out: str, format_: str = "terminal") -> None:
    """Print one line per sweep."""
    from rich.console import Console

    from results.export import FORMATS, make_document
    from results.render.overview_view import OverviewView
    from results.tables.overview import overview_table

    table = overview_table(_overviews(found, out))
    if format_ == "terminal":
        Console().print(OverviewView(table))
    else:
        print(FORMATS[format_]([make_document("all", "sweeps", [("sweeps", table)])]), end="")


def _overviews(found: list[tuple[str, str]], out: str) -> list[Overview]:
    from orchestrator.control.request import with_driver_state
    from results.tables.overview import overview

    return [with_driver_state(overview(out, *each), out) for each in found]
