"""Tracks which values of shared stages are still needed, and releases the others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from tasks.contract import Stage, Task, Trial


class StageDemand:
    """Counts the unfinished trials that need each stage."""

    def __init__(self, task: Task, trials: Sequence[Trial] | None) -> None:
        """``trials`` are all trials that will run; None for a search, whose trials come later."""
        self._task = task
        self._num_trials: Counter[str] = Counter()  # stage key -> unfinished trials that need it
        self._dependents: defaultdict[str, set[str]] = defaultdict(set)  # by stage key
        self.is_open_ended = trials is None  # whether later trials may need any stage again
        self.num_changes = 0
        for trial in trials or ():
            self._add(trial)

    def start(self, trial: Trial) -> None:
        """Record that a trial starts."""
        if self.is_open_ended:
            self._add(trial)

    def end(self, trial: Trial) -> None:
        """Record that a trial has ended and will not run again."""
        self.num_changes += 1
        for stage in self._task.stages(trial):
            self._num_trials[stage.key] -= 1

    def _add(self, trial: Trial) -> None:
        for stage in self._task.stages(trial):
            self._num_trials[stage.key] += 1
            self._add_dependents(stage)

    def _add_dependents(self, stage: Stage) -> None:
        for need in stage.needs:
            if stage.key not in self._dependents[need.key]:
                self._dependents[need.key].add(stage.key)
                self._add_dependents(need)

    def is_needed(self, key: str, computed: Collection[str]) -> bool:
        """Return whether a trial needs the stage, directly or for a stage not yet computed."""
        return self._num_trials[key] > 0 or any(
            other not in computed and self.is_needed(other, computed)
            for other in self._dependents.get(key, ())
        )


class StageValues:
    """The stage values that a process holds, or references to them.

    With a fixed list of trials, a value is released after the last trial that needs it. In a
    search, later trials may need any value again. Values that no running trial needs may then use
    ``idle_bytes``; beyond that, the least recently used ones are released. A released value is
    computed or loaded again when needed.
    """

    def __init__(self, demand: StageDemand, idle_bytes: float) -> None:
        self._demand, self._idle_bytes = demand, idle_bytes
        self._values: dict[str, tuple[Any, int]] = {}  # least recently used first
        self._num_changes_seen = 0

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def put(self, key: str, value: Any, num_bytes: int) -> None:
        """Add a value."""
        self._values[key] = value, num_bytes
        self._num_changes_seen = -1

    def get(self, key: str) -> Any:
        """Return a value and mark it as used."""
        self._values[key] = self._values.pop(key)
        return self._values[key][0]

    def release(self) -> None:
        """Release values that are not needed, if anything has changed since the last call."""
        if self._num_changes_seen == self._demand.num_changes:
            return
        self._num_changes_seen = self._demand.num_changes
        computed = self._values.keys()
        idle = [key for key in computed if not self._demand.is_needed(key, computed)]
        used = sum(self._values[key][1] for key in idle)
        for key in idle:
            if self._demand.is_open_ended and used <= self._idle_bytes:
                break
            used -= self._values.pop(key)[1]
