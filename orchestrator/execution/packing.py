"""Groups trials into packs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from orchestrator.execution.measure import Usage
from orchestrator.execution.placement import MAX_MEMORY_FRACTION
from tasks.contract import Task, Trial

MAX_PACK_SIZE = 64  # trials; a pack is retried as a unit, so it should not be the whole sweep


class Packing:
    """Forms packs for a number of workers that fit into a worker's memory."""

    def __init__(self, task: Task, num_workers: int, worker_memory: int | None) -> None:
        """``worker_memory`` is the memory of a worker in bytes, None if unknown."""
        self._task = task
        self._num_workers, self._worker_memory = num_workers, worker_memory
        self._shared_bytes = 0  # that a pack uses regardless of its number of trials
        self._estimate_scale = 1.0  # measured memory of a trial / the task's estimate

    @property
    def capacity(self) -> int:
        """The number of trials that fill all workers."""
        return MAX_PACK_SIZE * self._num_workers

    def resize(self, num_workers: int, worker_memory: int | None) -> None:
        """Set the number of workers and the memory of each, in bytes."""
        self._num_workers, self._worker_memory = num_workers, worker_memory

    def use_measurement(self, trial: Trial, usage: Usage) -> None:
        """Correct the task's estimates by the measured memory of one trial.

        Memory beyond the estimate, such as features, is assumed to be shared by a pack.
        """
        estimate, used = max(1, self._task.estimate_memory(trial)), usage.peak - usage.base
        self._shared_bytes = usage.base + max(0, used - estimate)
        self._estimate_scale = min(1.0, used / estimate)

    def form(self, trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
        """Split trials into a few large packs that keep all workers busy."""
        packs: list[tuple[Trial, ...]] = []
        for group in group_by_key(self._task, trials).values():
            size = min(_max_size(self._task, group), self._max_that_fit(group))
            if not self._task.shares_steps:
                size = min(size, math.ceil(len(group) / self._num_workers))
            packs += [tuple(group[i : i + size]) for i in range(0, len(group), size)]
        return packs

    def _max_that_fit(self, group: Sequence[Trial]) -> int:
        """Return the number of trials that fit into a worker's memory."""
        if self._worker_memory is None:
            return len(group)
        largest = max(self._task.estimate_memory(trial) for trial in group)
        free = MAX_MEMORY_FRACTION * self._worker_memory - self._shared_bytes
        return max(1, int(free / max(1, largest * self._estimate_scale)))


def min_num_packs(task: Task, trials: Sequence[Trial]) -> int:
    """Return the number of packs if each is as large as allowed."""
    groups = group_by_key(task, trials).values()
    return sum(math.ceil(len(group) / _max_size(task, group)) for group in groups)


def _max_size(task: Task, group: Sequence[Trial]) -> int:
    """Return the most trials of a group that may be in one pack."""
    return min(MAX_PACK_SIZE, *(task.max_pack_size(trial) or MAX_PACK_SIZE for trial in group))


def max_num_packs(task: Task, trials: Sequence[Trial]) -> int:
    """Return the number of packs if there are enough workers for any number."""
    return min_num_packs(task, trials) if task.shares_steps else len(trials)


def group_by_key(task: Task, trials: Sequence[Trial]) -> Mapping[object, list[Trial]]:
    """Group trials that can run in one pack, keeping their order."""
    groups: dict[object, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(task.pack_key(trial), []).append(trial)
    return groups
