"""``doctor``: check this machine and a cluster."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import Address, CpusPerTrial, Data, GpusPerTrial, Model, Out
from orchestrator.cli.parsing import parse_gpus


def doctor(
    task: Annotated[str | None, typer.Argument(help="Also check this task.")] = None,
    address: Address = None,
    out: Out = "runs",
    model: Model = None,
    data: Data = None,
    gpus_per_trial: GpusPerTrial = "1",
    cpus_per_trial: CpusPerTrial = None,
    json_: Json = False,
) -> int | Outcome:
    """Check what this machine or a cluster can run.

    Each problem is printed with its fix.
    """
    from orchestrator.doctor.driver import diagnose
    from orchestrator.doctor.findings import render_findings
    from orchestrator.request import Request

    request = Request(
        task=task or "",
        address=address,
        out=out,
        model=model,
        data=data,
        gpus_per_trial=parse_gpus(gpus_per_trial),
        cpus_per_trial=cpus_per_trial,
    )
    findings = diagnose(task, request)
    status = int(any(finding.verdict == "error" for finding in findings))
    if json_:
        return Outcome(status=status, fields={"findings": findings})
    Console().print(render_findings(findings))
    return status
