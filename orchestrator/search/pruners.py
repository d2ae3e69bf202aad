"""Which trials of a search stop early. Imports Optuna.

Successive halving and Hyperband are written here because their decisions must follow from the
recorded values alone, so that a search that was killed and started again decides as it would
have without the interruption. Optuna's versions keep what a trial had at a rung in the study's
storage, and derive the first rung from the first complete trial and a bracket from a trial's
number; none of these can be rebuilt from a table of results.
"""

from __future__ import annotations

import itertools
import json
import math
import zlib
from collections.abc import Sequence

import optuna
from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from orchestrator.search.options import PRUNERS


class HalvingPruner(BasePruner):
    """Asynchronous successive halving (Li et al. 2020, the variant that stops trials).

    The first rung is the smallest step at which any trial was measured; each further rung is
    ``reduction_factor`` times later. A trial that reaches a rung continues if it is among the best
    ``1 / reduction_factor`` of all that have reached it so far. Nothing is stopped before one
    trial is complete.
    """

    def __init__(self, reduction_factor: int) -> None:
        self._factor = reduction_factor

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial is behind at the rung that its last step reached."""
        trials = study.get_trials(deepcopy=False)
        if not any(other.state is TrialState.COMPLETE for other in trials):
            return False
        return self._is_behind(study.direction, trial, trials, _first_step(trials))

    def _is_behind(
        self,
        direction: StudyDirection,
        trial: FrozenTrial,
        trials: Sequence[FrozenTrial],
        rung: int,
    ) -> bool:
        """Whether it is behind at its current rung of the ladder that begins at step ``rung``."""
        before, last = ([0, 0, *sorted(trial.intermediate_values)])[-2:]
        if last < rung or rung == 0:
            return False
        while rung * self._factor <= last:
            rung *= self._factor
        if before >= rung:
            return False  # it was judged at this rung already
        values = [value for other in trials for value in _value_at(other, rung)]
        values.sort(reverse=direction is StudyDirection.MAXIMIZE)
        worst_kept = values[max(len(values) // self._factor, 1) - 1]
        value = trial.intermediate_values[last]
        return value < worst_kept if direction is StudyDirection.MAXIMIZE else value > worst_kept


class HyperbandPruner(HalvingPruner):
    """Hyperband (Li et al. 2018): brackets of successive halving whose first rungs differ.

    A trial's bracket follows from a hash of its parameters, and it competes within its bracket.
    Brackets are sized as in Optuna's version.
    """

    def __init__(self, reduction_factor: int) -> None:
        super().__init__(reduction_factor)
        self._hashes: dict[int, int] = {}  # by trial number

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial is behind at the rung of its bracket that its last step reached."""
        trials = study.get_trials(deepcopy=False)
        complete = [t for t in trials if t.state is TrialState.COMPLETE and t.intermediate_values]
        if not complete:
            return False
        first = _first_step(trials)
        longest = max(max(other.intermediate_values) for other in complete)
        sizes = bracket_sizes(first, longest, self._factor)
        mine = self._bracket(trial, sizes)
        trials = [other for other in trials if self._bracket(other, sizes) == mine]
        return self._is_behind(study.direction, trial, trials, first * self._factor**mine)

    def _bracket(self, trial: FrozenTrial, sizes: Sequence[int]) -> int:
        if trial.number not in self._hashes:
            values = {  # 1 and 1.0 are one value: the results keep the type of the parameter
                name: float(value) if isinstance(value, int) else value
                for name, value in trial.params.items()
            }
            text = json.dumps(values, sort_keys=True, default=str)
            self._hashes[trial.number] = zlib.crc32(text.encode())
        place = self._hashes[trial.number] % sum(sizes)
        return next(b for b, end in enumerate(itertools.accumulate(sizes)) if place < end)


def bracket_sizes(first: int, longest: int, factor: int) -> list[int]:
    """The share of trials of each bracket, by Algorithm 1 of Li et al. 2018.

    Bracket b begins at step ``first * factor**b``. At least one bracket.
    """
    number = 1
    while first and first * factor**number <= longest:
        number += 1
    return [math.ceil(number * factor ** (number - 1 - b) / (number - b)) for b in range(number)]


def _first_step(trials: Sequence[FrozenTrial]) -> int:
    """The smallest positive step at which any trial was measured; 0 if there is none."""
    firsts = (next((s for s in t.intermediate_values if s > 0), None) for t in trials)
    return min((step for step in firsts if step is not None), default=0)


def _value_at(trial: FrozenTrial, rung: int) -> list[float]:
    """Its value at the first step that reached the rung; nothing if it has not."""
    for step, value in trial.intermediate_values.items():  # in the order of steps
        if step >= rung:
            return [value]
    return []


def make_pruner(name: str) -> BasePruner:
    """The pruner of ``--pruner``."""
    arguments = PRUNERS[name]
    if name == "halving":
        return HalvingPruner(**arguments)
    if name == "hyperband":
        return HyperbandPruner(**arguments)
    return (
        optuna.pruners.MedianPruner(**arguments) if name == "median" else optuna.pruners.NopPruner()
    )
