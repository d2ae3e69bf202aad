"""``archive``: write a sweep to one file."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.finding import locate
from orchestrator.cli.options import Results, SweepName, Task


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
) -> int:
    """Write a sweep to one file.

    The file contains the tables, the environment, the space and the weights.
    """
    from orchestrator.sharing.archive import archive_sweep

    archive_sweep(*locate(name, task, out), file, weights=weights, overwrite=overwrite)
    return 0
