"""Whether ``--final`` can score the trials of a plan, asked before anything runs."""

from __future__ import annotations

from typing import Any

from orchestrator.saving.final_weights import has_weights
from tasks.contract import RequestError, Trial


def check_final(task: Any, trial: Trial, split: str, keep: object) -> None:
    """Refuse a split that trials like this one cannot be scored on.

    Raises:
        RequestError: saying why, and what to do.
    """
    if hasattr(task, "final"):
        task.final(trial, split)
    if not hasattr(task, "final") or (has_weights(task) and not hasattr(task, "restore")):
        missing = "restore" if hasattr(task, "final") else "final"
        raise RequestError(
            f"--final {split}: {task.name} cannot score another split, because it has no method "
            f"`{missing}` (docs/tasks.md); remove --final"
        )
    if has_weights(task) and keep == "none":
        raise RequestError(f"--final {split} needs kept weights; remove --keep none")
