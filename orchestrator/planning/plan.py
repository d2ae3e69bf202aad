"""Makes trials from the rows of a space, the seeds and the ``--set`` values.

Imports neither torch, Ray nor Optuna, so that a dry run is fast.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.planning import task_calls
from orchestrator.planning.params import make_params
from orchestrator.planning.spaces import Space
from search_spaces.space import Row, Scalar
from tasks.contract import RequestError, Source, Stage, Task, Trial


@dataclass(frozen=True, kw_only=True)
class TrialFactory:
    """Makes the trials of one sweep, which share task, model, data and ``--set`` values."""

    task: Task
    model: Source
    data: Source
    fixed: Mapping[str, Scalar]

    def trial(self, values: Mapping[str, Scalar], seed: int) -> Trial:
        """Return the normalized trial with these values; ``--set`` takes precedence."""
        trial = Trial(
            task=self.task.name,
            version=self.task.version,
            params=make_params(self.task, {**values, **self.fixed}),
            seed=seed,
            model=self.model,
            data=self.data,
        )
        return task_calls.normalize(self.task, trial)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedRow:
    """A row of a table, with one trial per seed."""

    row: Row
    trials: tuple[Trial, ...]
    changed: tuple[str, ...] = ()  # parameters of the row that ``--set`` replaces


def plan_rows(space: Space, factory: TrialFactory, seeds: Sequence[int]) -> list[list[PlannedRow]]:
    """Return the rows of each table with their trials. Equal rows have equal trials."""
    return [
        [
            PlannedRow(
                row=row,
                trials=tuple(factory.trial(row.params, seed) for seed in seeds),
                changed=_changed_params(factory, row),
            )
            for row in table.rows
        ]
        for table in space.tables
    ]


def _changed_params(factory: TrialFactory, row: Row) -> tuple[str, ...]:
    """Return the row's parameters that ``--set`` replaces, if that changes its trials.

    A published number belongs to the values that its row names. Parameters that the row does not
    name, such as the size of the model, do not make it another row.
    """
    fixed = [name for name in row.params if name in factory.fixed]
    if not fixed:  # the row alone may break a rule: it can need the fixed parameters
        return ()
    try:
        as_published = make_params(factory.task, row.params)
    except RequestError:
        return tuple(fixed)
    changed = tuple(n for n in fixed if getattr(as_published, n) != factory.fixed[n])
    if not changed:
        return ()
    try:
        without = dataclasses.replace(
            factory, fixed={k: v for k, v in factory.fixed.items() if k not in changed}
        )
        is_same = without.trial(row.params, 0).id == factory.trial(row.params, 0).id
    except RequestError:  # the row cannot run as published on this model and data
        return changed
    return () if is_same else changed


def distinct_trials(planned: Iterable[Iterable[PlannedRow]]) -> list[Trial]:
    """Return every trial once: all rows with the first seed, then all with the second, and so on.

    This order gives the user a complete table early.
    """
    rows = [row for table in planned for row in table]
    by_seed = itertools.zip_longest(*(row.trials for row in rows))
    return list({t.id: t for seed in by_seed for t in seed if t is not None}.values())


def distinct_stages(task: Task, trials: Iterable[Trial]) -> list[Stage]:
    """Return every stage that the trials need, once, in topological order."""
    ordered: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.key not in ordered:
            for need in stage.needs:
                visit(need)
            ordered[stage.key] = stage

    for trial in trials:
        for stage in task.stages(trial):
            visit(stage)
    return list(ordered.values())
