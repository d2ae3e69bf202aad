"""``check-task``: test whether a task keeps the contract."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.completion import complete_task
from orchestrator.cli.options import Data, Model


def check_task(
    task: Annotated[str, typer.Argument(help="Task to test.", autocompletion=complete_task)],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter in every trial."),
    ] = None,
    model: Model = None,
    data: Data = None,
) -> int:
    """Test whether a task fulfills the contract.

    The exit status is 0 if it does, otherwise 1. Nothing is written.
    """
    from orchestrator.contract_suite.command import check_task as run_checks

    return run_checks(task, settings=set_ or (), model=model, data=data)
