"""``prune``: remove weights, checkpoints, stages or whole sweeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.completion import complete_sweep
from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import Results, Task
from orchestrator.cli.parsing import parse_duration, parse_size
from orchestrator.planning.stored_sweeps import locate
from tasks.contract import RequestError

if TYPE_CHECKING:
    from orchestrator.pruning.items import Item


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
        bool, typer.Option("--stages", help="Remove the stage values of unfinished sweeps.")
    ] = False,
    sweeps: Annotated[
        bool, typer.Option("--sweeps", help="Remove whole sweeps with everything they store.")
    ] = False,
    cache: Annotated[
        str | None,
        typer.Option(help="Remove stage values from this folder or URI of `sweep --cache`."),
    ] = None,
    older_than: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only items not written for this long, such as 30d."),
    ] = None,
    larger_than: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Only items larger than this, such as 500MB or 1GB."),
    ] = None,
    needed: Annotated[
        bool,
        typer.Option(
            "--needed",
            help="Also remove what other sweeps reuse, and checkpoints of unfinished trials.",
        ),
    ] = False,
    task: Task = None,
    out: Results = "runs",
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it, only list.")] = False,
    json_: Json = False,
) -> int | Outcome:
    """List what can be removed, or remove it with --yes.

    Running sweeps are never changed.
    """
    from orchestrator.pruning.command import PruneRequest
    from orchestrator.pruning.command import prune as run_prune

    found = [locate(each, task, out) for each in name or ()]
    if len({each[0] for each in found}) > 1:
        raise RequestError("the sweeps are in several folders; run `prune` once for each folder")
    age = parse_duration("--older-than", older_than)
    size = parse_size("--larger-than", larger_than)
    pruned = run_prune(
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
    if not json_:
        return 0
    return Outcome(
        fields={
            "removed": pruned.were_removed,
            "items": [_fields(item) for item in pruned.items],
            "kept": [{**_fields(item), "reason": reason} for item, reason in pruned.kept],
        }
    )


def _fields(item: Item) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "of": None if item.of == "-" else item.of,
        "num_files": len(item.files),
        "bytes": item.size,
        "last_write": item.last_write,
    }
