"""Which values of shared stages are still needed, and which can be released."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from tasks.contract import Stage, Task, Trial


class StageDemand:
    """Counts the trials that have yet to end, by the stages that they need."""

    def __init__(self, task: Task, trials: Sequence[Trial] | None) -> None:
        """``trials`` are all that will run; None for a search, which counts them as they start."""
        self._task = task
        self._left: Counter[str] = Counter()  # trials by the key of a stage
        self._dependents: defaultdict[str, set[str]] = defaultdict(set)
        self.may_return = trials is None  # whether a stage that no trial needs may be needed again
        self.num_changes = 0
        for trial in trials or ():
            self._add(trial)

    def start(self, trial: Trial) -> None:
        """A trial is about to run."""
        if self.may_return:
            self._add(trial)

    def end(self, trial: Trial) -> None:
        """A trial has ended, and will not run again."""
        self.num_changes += 1
        for stage in self._task.stages(trial):
            self._left[stage.key] -= 1

    def _add(self, trial: Trial) -> None:
        for stage in self._task.stages(trial):
            self._left[stage.key] += 1
            self._visit(stage)

    def _visit(self, stage: Stage) -> None:
        for need in stage.needs:
            if stage.key not in self._dependents[need.key]:
                self._dependents[need.key].add(stage.key)
                self._visit(need)

    def is_needed(self, key: str, computed: Collection[str]) -> bool:
        """Whether a trial needs the stage, or another stage that is needed and not yet computed."""
        return self._left[key] > 0 or any(
            other not in computed and self.is_needed(other, computed)
            for other in self._dependents.get(key, ())
        )


class StageValues:
    """The values that a process holds or has references to.

    In a list of trials a value goes after the last trial that needs it. In a search any value may
    be needed again; those that no running trial needs may fill ``idle_bytes``, and the least
    recently used go first. A value that is needed after it went is computed or read again.
    """

    def __init__(self, demand: StageDemand, idle_bytes: float) -> None:
        self._demand, self._idle_bytes = demand, idle_bytes
        self._values: dict[str, tuple[Any, int]] = {}  # the least recently used first
        self._seen = 0

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def put(self, key: str, value: Any, num_bytes: int) -> None:
        """Hold a value."""
        self._values[key] = value, num_bytes
        self._seen = -1

    def get(self, key: str) -> Any:
        """A value that is held."""
        self._values[key] = self._values.pop(key)
        return self._values[key][0]

    def release(self) -> None:
        """Let go of what is not needed, if anything has changed since the last call."""
        if self._seen == self._demand.num_changes:
            return
        self._seen = self._demand.num_changes
        computed = self._values.keys()
        idle = [key for key in computed if not self._demand.is_needed(key, computed)]
        used = sum(self._values[key][1] for key in idle)
        for key in idle:
            if self._demand.may_return and used <= self._idle_bytes:
                break
            used -= self._values.pop(key)[1]
