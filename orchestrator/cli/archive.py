"""``archive``: write a sweep to one file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import Results, SweepName, Task
from orchestrator.planning.stored_sweeps import locate


def archive(
    name: SweepName,
    file: Annotated[str, typer.Argument(help="File to write, such as paper.zip.")],
    weights: Annotated[
        bool, typer.Option("--weights/--no-weights", help="Include kept weights.")
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace FILE if it exists.")
    ] = False,
    task: Task = None,
    out: Results = "runs",
    json_: Json = False,
) -> int | Outcome:
    """Write a sweep to one file.

    The file contains the tables, the environment, the space and the weights.
    """
    from orchestrator.sharing.archive import archive_sweep

    place = locate(name, task, out)
    found = archive_sweep(*place, file, weights=weights, overwrite=overwrite)
    if not json_:
        return 0
    return Outcome(fields={"sweep": "/".join(place[1:]), "file": file, **asdict(found)})
