"""Whether ``--final`` can score the trials of a plan, asked before anything runs."""

from __future__ import annotations

from orchestrator.planning.task_members import overrides
from tasks.contract import RequestError, Task, Trial


def check_final(task: Task, trial: Trial, split: str, keep: object) -> None:
    """Refuse a split that trials like this one cannot be scored on.

    Raises:
        RequestError: saying why, and what to do.
    """
    task.final(trial, split)
    if task.has_weights and not overrides(task, "restore"):
        raise RequestError(
            f"--final {split}: {task.name} cannot score another split, because it has no method "
            "`restore` (docs/reference/task-contract.md); remove --final"
        )
    if task.has_weights and keep == "none":
        raise RequestError(f"--final {split} needs kept weights; remove --keep none")
