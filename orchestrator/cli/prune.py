"""``prune``: remove weights, checkpoints, stages or whole sweeps."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.completion import complete_sweep
from orchestrator.cli.finding import locate
from orchestrator.cli.options import Results, Task
from orchestrator.cli.parsing import parse_duration, parse_size
from tasks.contract import RequestError


def prune(
    name: Annotated[
        list[str] | None,
        typer.Argument(
            help="Sweeps: NAME, TASK/NAME or OUT/TASK/NAME (default: all).",
            autocompletion=complete_sweep,
        ),
    ] = None,
    weights: Annotated[
        bool, typer.Option("--weights", help="Remove the kept weights of trials.")
    ] = False,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="Remove checkpoints that no sweep needs.")
    ] = False,
    stages: Annotated[
        bool, typer.Option("--stages", help="Remove stages that unfinished sweeps keep.")
    ] = False,
    sweeps: Annotated[
        bool, typer.Option("--sweeps", help="Remove whole sweeps with all that belongs to them.")
    ] = False,
    cache: Annotated[
        str | None, typer.Option(help="Remove stages from this folder or URI of `sweep --cache`.")
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only what was last written so long ago, such as 30d."),
    ] = None,
    larger_than: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Only what is larger, such as 500MB or 1GB.")
    ] = None,
    needed: Annotated[
        bool,
        typer.Option(
            "--needed",
            help="Also what another sweep reuses, and checkpoints of trials still to finish.",
        ),
    ] = False,
    task: Task = None,
    out: Results = "runs",
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; otherwise only list it.")] = False,
) -> int:
    """List what could be removed, or remove it with --yes. A running sweep is never touched."""
    from orchestrator.pruning.command import PruneRequest
    from orchestrator.pruning.command import prune as run_prune

    found = [locate(each, task, out) for each in name or ()]
    if len({each[0] for each in found}) > 1:
        raise RequestError("the names are of sweeps in several folders; run `prune` once for each")
    age = parse_duration("--older-than", older_than)
    size = parse_size("--larger-than", larger_than)
    return run_prune(
        PruneRequest(
            out=found[0][0] if found else out,
            names=[f"{of}/{each}" for _, of, each in found],
            weights=weights,
            checkpoints=checkpoints,
            stages=stages,
            sweeps=sweeps,
            cache=cache,
            older_than=None if older_than is None or age is None else (older_than, age),
            larger_than=None if larger_than is None or size is None else (larger_than, size),
            needed=needed,
            yes=yes,
        )
    )
