"""The shared stages of a run: where each value came from, and how many trials used it."""

from __future__ import annotations

from typing import Any

from orchestrator.execution.stages import Origin
from tasks.contract import Stage, Task, Trial


class StageLog:
    """The rows of the ``stages`` table, as far as the run has come."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._rows: dict[str, dict[str, Any]] = {}
        self._warned = False
        self.num_kept = 0  # values that the next run can read

    def rows(self) -> list[dict[str, Any]]:
        """One row for each stage that was computed or read."""
        return list(self._rows.values())

    def add(self, stage: Stage, origin: Origin) -> str | None:
        """A stage was computed, or read; a line for the user, if its value could not be kept."""
        row = {"key": stage.key, "label": stage.label, "seconds": origin.seconds, "uses": 0}
        self._rows[stage.key] = row | {"source": origin.source}
        self.num_kept += origin.is_kept
        if not origin.not_kept or self._warned:
            return None
        self._warned = True
        return (
            f"Stage {stage.label} is not kept: {origin.not_kept}. If this run is interrupted, "
            "the next one computes it again."
        )

    def count_use(self, trial: Trial, number: int = 1) -> None:
        """The trial uses its stages; -1 takes that back."""
        for stage in self._task.stages(trial):
            if stage.key in self._rows:
                self._rows[stage.key]["uses"] += number
