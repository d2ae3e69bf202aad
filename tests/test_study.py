"""What Optuna is told of configurations, beside what the table says of their trials."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from orchestrator.plan import TrialFactory
from orchestrator.study import AdaptiveStudy
from tasks.retrieval.task import TASK

VALUES = [0.9, 0.1, 0.2, 0.8, 0.05, 0.3, 0.7, 0.01]  # most are clearly behind the first


def search(trial: optuna.Trial) -> dict[str, Any]:
    return {"lr": trial.suggest_float("lr", 1e-5, 1e-2, log=True)}


@pytest.fixture(scope="module")
def factory() -> TrialFactory:
    model, data = TASK.resolve(TASK.default_model, TASK.default_data)
    return TrialFactory(task=TASK, model=model, data=data, fixed={})


def tried(
    factory: TrialFactory, seeds: list[int], steps: int
) -> tuple[list[TrialState], list[int]]:
    """Run every configuration in turn; Optuna's states, and how many steps each trial made."""
    study = AdaptiveStudy(
        search=search,
        factory=factory,
        seeds=seeds,
        num_configurations=len(VALUES),
        direction="maximize",
    )
    made, values = [], {}
    while not study.is_over():
        (trial,) = study.propose(1)
        value = values.setdefault(trial.params.lr, VALUES[len(values) % len(VALUES)])
        stop, at = False, 0
        while not stop and at < steps:
            at += 1
            stop = study.observe(trial, at, value, at == steps)
        study.finish(trial, value, stopped=stop and at < steps)
        made.append(at)
    return [trial.state for trial in study.study.trials], made


def test_a_configuration_that_ran_to_its_end_is_told_as_complete(factory: TrialFactory) -> None:
    states, made = tried(factory, [0], steps=1)
    assert states == [TrialState.COMPLETE] * len(VALUES)
    assert made == [1] * len(VALUES)


def test_one_that_is_behind_stops_between_its_steps(factory: TrialFactory) -> None:
    states, made = tried(factory, [0], steps=5)
    assert states[0] is TrialState.COMPLETE
    assert states.count(TrialState.PRUNED) >= 3
    assert [at < 5 for at in made] == [state is TrialState.PRUNED for state in states]


def test_one_that_is_behind_at_its_first_seed_is_spared_the_others(factory: TrialFactory) -> None:
    states, made = tried(factory, [0, 1, 2], steps=1)
    assert states[0] is TrialState.COMPLETE
    assert TrialState.PRUNED in states
    assert len(made) < 3 * len(VALUES)
