"""Pruners, which stop trials or leave out seeds of a search. Imports Optuna.

Successive halving and Hyperband are implemented here so that their decisions depend only on the
recorded values. A search that is killed and resumed then makes the same decisions as one that ran
without interruption. Optuna's versions also depend on rung values in the study's storage, on which
trial completed first, and on trial numbers. These cannot be restored from a table of results.
"""

from __future__ import annotations

import itertools
import json
import math
import warnings
import zlib
from collections.abc import Container, Sequence
from typing import cast

import optuna
from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from orchestrator.search.options import PRUNERS

LEARNED = "learned_from"  # user attribute of trials of other sweeps


class HalvingPruner(BasePruner):
    """Asynchronous successive halving (Li et al. 2020, the stopping variant).

    The first rung is the smallest step at which any trial was measured. Each further rung is
    ``reduction_factor`` times later. A trial that reaches a rung continues if it is among the best
    ``1 / reduction_factor`` of all trials that have reached it so far. No trial is stopped before
    one has completed.
    """

    def __init__(self, reduction_factor: int) -> None:
        self._factor = reduction_factor

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether to prune the trial at the rung that it reached with its last step."""
        trials = study.get_trials(deepcopy=False)
        if not any(other.state is TrialState.COMPLETE for other in trials):
            return False
        return self._should_prune(study.direction, trial, trials, _first_step(trials))

    def _should_prune(
        self,
        direction: StudyDirection,
        trial: FrozenTrial,
        trials: Sequence[FrozenTrial],
        rung: int,
    ) -> bool:
        """Return whether to prune the trial at its current rung; ``rung`` is the first one."""
        before, last = ([0, 0, *sorted(trial.intermediate_values)])[-2:]
        if last < rung or rung == 0:
            return False
        while rung * self._factor <= last:
            rung *= self._factor
        if before >= rung:
            return False  # already compared at this rung
        values = [value for other in trials for value in _value_at(other, rung)]
        values.sort(reverse=direction is StudyDirection.MAXIMIZE)
        worst_kept = values[max(len(values) // self._factor, 1) - 1]
        value = trial.intermediate_values[last]
        return value < worst_kept if direction is StudyDirection.MAXIMIZE else value > worst_kept


class HyperbandPruner(HalvingPruner):
    """Hyperband (Li et al. 2018): brackets of successive halving with different first rungs.

    A hash of a trial's parameters selects its bracket. It competes only within its bracket. Bracket
    sizes are the same as in Optuna's version.
    """

    def __init__(self, reduction_factor: int) -> None:
        super().__init__(reduction_factor)
        self._hashes: dict[int, int] = {}  # by trial number

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return whether to prune the trial at its current rung within its bracket."""
        trials = study.get_trials(deepcopy=False)
        complete = [t for t in trials if t.state is TrialState.COMPLETE and t.intermediate_values]
        if not complete:
            return False
        first = _first_step(trials)
        longest = max(max(other.intermediate_values) for other in complete)
        sizes = bracket_sizes(first, longest, self._factor)
        mine = self._bracket(trial, sizes)
        trials = [other for other in trials if self._bracket(other, sizes) == mine]
        return self._should_prune(study.direction, trial, trials, first * self._factor**mine)

    def _bracket(self, trial: FrozenTrial, sizes: Sequence[int]) -> int:
        if trial.number not in self._hashes:
            values = {  # 1 and 1.0 must be equal, because results convert to the parameter's type
                name: float(value) if isinstance(value, int) else value
                for name, value in trial.params.items()
            }
            text = json.dumps(values, sort_keys=True, default=str)
            self._hashes[trial.number] = zlib.crc32(text.encode())
        position = self._hashes[trial.number] % sum(sizes)
        return next(b for b, end in enumerate(itertools.accumulate(sizes)) if position < end)


def bracket_sizes(first: int, longest: int, factor: int) -> list[int]:
    """Return the relative number of trials per bracket (Li et al. 2018, Algorithm 1).

    There is at least one bracket. Bracket b starts at step ``first * factor**b``.
    """
    number = 1
    while first and first * factor**number <= longest:
        number += 1
    return [math.ceil(number * factor ** (number - 1 - b) / (number - b)) for b in range(number)]


def _first_step(trials: Sequence[FrozenTrial]) -> int:
    """Return the smallest positive step at which any trial was measured, 0 if there is none."""
    firsts = (next((s for s in t.intermediate_values if s > 0), None) for t in trials)
    return min((step for step in firsts if step is not None), default=0)


def _value_at(trial: FrozenTrial, rung: int) -> list[float]:
    """Return a list with the value at the first step that reached the rung, empty if none did."""
    for step, value in trial.intermediate_values.items():  # in the order of steps
        if step >= rung:
            return [value]
    return []


class OwnTrialsPruner(BasePruner):
    """Another pruner that sees only the study's own trials, not those that it learned from.

    Trials of other sweeps may have been measured on other data, or at other steps.
    """

    def __init__(self, pruner: BasePruner) -> None:
        self._pruner = pruner

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Return what the other pruner decides."""
        return self._pruner.prune(cast(Study, _OwnTrials(study)), trial)


class _OwnTrials:
    """The part of a study that pruners use, without the learned trials."""

    def __init__(self, study: Study) -> None:
        self._study, self.direction = study, study.direction

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        trials = self._study.get_trials(deepcopy=deepcopy, states=states)
        return [trial for trial in trials if LEARNED not in trial.user_attrs]

    @property
    def best_trial(self) -> FrozenTrial:
        """The first of the best complete trials; raises ValueError if there is none."""
        choose = max if self.direction is StudyDirection.MAXIMIZE else min
        complete = self.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return choose(complete, key=lambda trial: cast(float, trial.value))


def make_pruner(name: str) -> BasePruner:
    """Return the pruner for a value of ``--pruner``."""
    arguments = PRUNERS[name]
    if name == "halving":
        return HalvingPruner(**arguments)
    if name == "hyperband":
        return HyperbandPruner(**arguments)
    if name == "wilcoxon":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.pruners.WilcoxonPruner(**arguments)
    return (
        optuna.pruners.MedianPruner(**arguments) if name == "median" else optuna.pruners.NopPruner()
    )
