"""Records where the value of each shared stage came from and how many trials used it."""

from __future__ import annotations

from typing import Any

from orchestrator.execution.stages import Origin
from tasks.contract import Stage, Task, Trial


class StageLog:
    """The rows of the ``stages`` table of the current run."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._rows: dict[str, dict[str, Any]] = {}
        self._warned = False
        self.num_kept = 0  # values that the next run can load

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per stage that was computed or loaded."""
        return list(self._rows.values())

    def add(self, stage: Stage, origin: Origin) -> str | None:
        """Record a stage; return a warning if its value could not be saved, only once per run."""
        row = {"key": stage.key, "label": stage.label, "seconds": origin.seconds, "uses": 0}
        self._rows[stage.key] = row | {"source": origin.source}
        self.num_kept += origin.is_kept
        if not origin.save_error or self._warned:
            return None
        self._warned = True
        return (
            f"The shared stage {stage.label} was not saved: {origin.save_error}. If this run is "
            "interrupted, the next run computes it again."
        )

    def count_use(self, trial: Trial, number: int = 1) -> None:
        """Count a trial's use of its stages; ``number=-1`` undoes it."""
        for stage in self._task.stages(trial):
            if stage.key in self._rows:
                self._rows[stage.key]["uses"] += number
