"""Checks before a sweep runs that ``--final`` will be able to score its trials."""

from __future__ import annotations

from orchestrator.planning.task_members import overrides
from tasks.contract import RequestError, Task, Trial


def check_final(task: Task, trial: Trial, split: str, keep: object) -> None:
    """Check that trials such as this one can be scored on a split.

    Raises:
        RequestError: if they cannot.
    """
    task.final(trial, split)
    if task.has_weights and not overrides(task, "restore"):
        raise RequestError(
            f"--final {split}: {task.name} cannot score another split, because it has no method "
            "`restore` (docs/reference/task-contract.md); remove --final"
        )
    if task.has_weights and keep == "none":
        raise RequestError(f"--final {split} requires kept weights; remove --keep none")
