"""``check-task``: test whether a task keeps the contract."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.completion import complete_task
from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import Data, Model


def check_task(
    task: Annotated[str, typer.Argument(help="Task to test.", autocompletion=complete_task)],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter in every trial."),
    ] = None,
    model: Model = None,
    data: Data = None,
    json_: Json = False,
) -> int | Outcome:
    """Test whether a task fulfills the contract.

    The exit status is 0 if it does, otherwise 1. Nothing is written.
    """
    from orchestrator.contract_suite.command import check_task as run_checks

    report = run_checks(task, settings=set_ or (), model=model, data=data)
    status = int(report.has_failed)
    if not json_:
        return status
    checks = [
        {
            "name": each.check.name,
            "rule": each.check.title,
            "verdict": each.verdict,
            "message": each.message,
            "fix": each.check.fix if each.verdict == "failed" else "",
            "seconds": each.seconds,
        }
        for each in report.outcomes
    ]
    fields = {"task": task, "problems": list(report.problems), "checks": checks}
    return Outcome(status=status, fields=fields)
