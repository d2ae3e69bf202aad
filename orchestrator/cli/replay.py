"""``replay``: run an archived sweep again and compare the numbers."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import (
    Address,
    CheckpointInterval,
    CpusPerTrial,
    Engine,
    GpusPerTrial,
    Out,
    RecordedData,
    RecordedModel,
)
from orchestrator.cli.parsing import check_tolerance, parse_checkpoint_interval, parse_gpus


def replay(
    file: Annotated[str, typer.Argument(help="Archive to run again.")],
    engine: Engine = "ray",
    address: Address = None,
    model: RecordedModel = None,
    data: RecordedData = None,
    cpus_per_trial: CpusPerTrial = None,
    gpus_per_trial: GpusPerTrial = "1",
    name: Annotated[
        str | None, typer.Option(help="Name of the new sweep (default: the old name with -replay).")
    ] = None,
    out: Out = "runs",
    checkpoint_interval: CheckpointInterval = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="Absolute and relative tolerance (default: the task's)."),
    ] = None,
    json_: Json = False,
) -> int | Outcome:
    """Run the trials of an archive again, and compare.

    The exit status is 0 if all numbers agree, otherwise 1.
    """
    from orchestrator.reports.json_fields import difference_fields
    from orchestrator.request import Request
    from orchestrator.sharing.replay_archive import replay_archive

    check_tolerance(tolerance)
    request = Request(
        task="",
        engine=engine,
        address=address,
        model=model,
        data=data,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=parse_gpus(gpus_per_trial),
        checkpoint_interval=parse_checkpoint_interval(checkpoint_interval),
        name=name,
        out=out,
    )
    replayed = replay_archive(file, request, tolerance)
    if not json_:
        return replayed.status
    fields: dict[str, Any] = {"replay": replayed.full_name}
    if replayed.comparison is not None:
        fields |= difference_fields(replayed.comparison, replayed.names, replayed.tolerance)
    return Outcome(status=replayed.status, fields=fields)
