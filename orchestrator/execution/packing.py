"""Which trials run together, and how many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from orchestrator.execution.measure import Usage
from orchestrator.execution.placement import MEMORY_SHARE
from tasks.contract import Task, Trial

MAX_PACK = 64  # members; a pack is a unit of retry too, so it should not be the whole sweep


class Packing:
    """Forms packs for a number of workers, within the memory of each."""

    def __init__(self, task: Task, num_workers: int, worker_bytes: int | None) -> None:
        """``worker_bytes`` is the memory of a worker's device, if that is known."""
        self._task = task
        self._num_workers, self._worker_bytes = num_workers, worker_bytes
        self._shared_bytes, self._own_share = 0, 1.0  # of a pack; of the task's estimate

    @property
    def capacity(self) -> int:
        """Trials that fill every worker once."""
        return MAX_PACK * self._num_workers

    def resize(self, num_workers: int, worker_bytes: int | None) -> None:
        """Set the number of workers and the memory of each, in bytes."""
        self._num_workers, self._worker_bytes = num_workers, worker_bytes

    def measured(self, trial: Trial, usage: Usage) -> None:
        """Take what this trial used as the measure of the others.

        What it used beyond the task's estimate is taken as shared by a pack: its features.
        """
        estimate, own = max(1, self._task.estimate_memory(trial)), usage.peak - usage.base
        self._shared_bytes = usage.base + max(0, own - estimate)
        self._own_share = min(1.0, own / estimate)

    def form(self, trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
        """A few large packs that keep all workers busy."""
        packs: list[tuple[Trial, ...]] = []
        for group in group_by_key(self._task, trials).values():
            spread = math.ceil(len(group) / self._num_workers)
            size = MAX_PACK if self._task.shares_steps else min(MAX_PACK, spread)
            size = min(size, self._most_that_fit(group))
            packs += [tuple(group[i : i + size]) for i in range(0, len(group), size)]
        return packs

    def _most_that_fit(self, group: Sequence[Trial]) -> int:
        """Members that a worker's memory has room for, by the task's estimate or as measured."""
        if self._worker_bytes is None:
            return len(group)
        largest = max(self._task.estimate_memory(trial) for trial in group) * self._own_share
        room = MEMORY_SHARE * self._worker_bytes - self._shared_bytes
        return max(1, int(room / max(1, largest)))


def full_packs(task: Task, trials: Sequence[Trial]) -> int:
    """How many packs these trials make where each is as large as it may be."""
    groups = group_by_key(task, trials).values()
    return sum(math.ceil(len(group) / MAX_PACK) for group in groups)


def most_packs(task: Task, trials: Sequence[Trial]) -> int:
    """How many packs these trials can make, if every slot there could be were free."""
    return full_packs(task, trials) if task.shares_steps else len(trials)


def group_by_key(task: Task, trials: Sequence[Trial]) -> Mapping[object, list[Trial]]:
    """Trials that may run together, in order."""
    groups: dict[object, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(task.pack_key(trial), []).append(trial)
    return groups
