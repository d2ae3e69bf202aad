"""Halving and Hyperband compared with Optuna's."""

from __future__ import annotations

import random

import optuna
import pytest
from optuna.trial import TrialState

from orchestrator.search.pruners import HalvingPruner, bracket_sizes


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_halving_matches_optuna(direction: str) -> None:
    """With steps that reach one rung at a time, where Optuna has seen every step of each trial."""
    draw = random.Random(direction)
    pruners = (
        HalvingPruner(reduction_factor=4),
        optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=4),
    )
    decided = []
    studies = [
        optuna.create_study(
            direction=direction,  # type: ignore[arg-type]
            pruner=pruner,
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        for pruner in pruners
    ]
    running: list[tuple[list[optuna.Trial], int]] = []
    for _ in range(600):
        if len(running) < 5:
            running.append(([study.ask() for study in studies], 0))
        trials, at = running.pop(draw.randrange(len(running)))
        value = round(draw.random(), 2)  # with ties
        for trial in trials:
            trial.report(value, at + 1)
        both = [trial.should_prune() for trial in trials]
        if any(t.state is TrialState.COMPLETE for t in studies[0].get_trials(deepcopy=False)):
            assert both[0] == both[1]
            decided.append(both[0])
        if at + 1 == 16:
            for study, trial in zip(studies, trials, strict=True):
                study.tell(trial, value)
        elif not all(both):
            running.append((trials, at + 1))
        else:
            for study, trial in zip(studies, trials, strict=True):
                study.tell(trial, state=TrialState.PRUNED)
    assert 10 < sum(decided) < len(decided) - 10


def test_bracket_sizes_match_optuna() -> None:
    for longest in (1, 2, 3, 8, 9, 26, 27, 100):
        theirs = optuna.pruners.HyperbandPruner(max_resource=longest)
        theirs._try_initialization(optuna.create_study())
        assert bracket_sizes(1, longest, 3) == theirs._trial_allocation_budgets
