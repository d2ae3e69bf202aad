"""``--pruner wilcoxon``: which seeds of a configuration are left out, live and after a resume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from orchestrator.planning.discovery import load_task
from orchestrator.planning.plan import TrialFactory
from orchestrator.search.history import PastConfiguration, PastTrial
from orchestrator.search.optuna_searcher import OptunaSearcher
from tasks.contract import Trial

SEEDS = (3, 0, 7, 1, 2, 9, 4, 5)
NOISE = (0.02, -0.01, 0.0, 0.03, -0.02, 0.01, -0.03, 0.015)  # of each seed
#: The level of each configuration, in the order in which they start.
LEVELS = (0.5, 0.2, 0.5, 0.9, 0.4, 0.9)


def search(trial: optuna.Trial) -> dict[str, Any]:
    return {"lr": trial.suggest_float("lr", 1e-5, 1e-2, log=True)}


@pytest.fixture(scope="module")
def factory() -> TrialFactory:
    task = load_task("toy")
    model, data = task.resolve(task.default_model, task.default_data)
    return TrialFactory(task=task, model=model, data=data, fixed={})


def make_study(factory: TrialFactory, direction: str = "maximize") -> OptunaSearcher:
    return OptunaSearcher(
        search=search,
        factory=factory,
        seeds=SEEDS,
        num_configurations=len(LEVELS),
        direction=direction,  # type: ignore[arg-type]
        sampler="random",
        pruner="wilcoxon",
    )


class Driver:
    """Runs the trials of a study one after the other, with three steps each."""

    def __init__(self, study: OptunaSearcher, sign: int) -> None:
        self.study, self.sign = study, sign
        self.configurations: dict[float, PastConfiguration] = {}

    def run(self, num_trials: int) -> None:
        for _ in range(num_trials):
            found = self.study.suggest(1)
            if not found:
                return
            self.run_trial(found[0])

    def run_trial(self, trial: Trial) -> None:
        lr = trial.params.lr
        past = self.configurations.setdefault(
            lr, PastConfiguration(params=trial.param_values(), trials={})
        )
        number = list(self.configurations).index(lr)
        noise = NOISE[SEEDS.index(trial.seed)] * (1 if number % 2 else -1)
        value = self.sign * (LEVELS[number] + noise)
        assert not self.study.on_trial_result(trial, 1, -self.sign * 9.0, False)
        assert not self.study.on_trial_result(trial, 2, self.sign * 9.0, False)
        stop = self.study.on_trial_result(trial, 3, value, True)
        self.study.on_trial_complete(trial, {"error": value}, stopped=False)
        past.trials[trial.seed] = PastTrial(  # type: ignore[index]
            id=trial.id,
            status="finished",
            value=value,
            metrics={"error": value},
            steps={1: -self.sign * 9.0, 2: self.sign * 9.0, 3: value},
            is_last_seed=stop,
        )

    def num_seeds(self) -> list[int]:
        return [len(past.trials) for past in self.configurations.values()]


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1), ("minimize", -1)])
def test_worse_configurations_end_after_four_seeds(
    factory: TrialFactory, direction: str, sign: int
) -> None:
    study = make_study(factory, direction)
    driver = Driver(study, sign)
    driver.run(100)
    assert driver.num_seeds() == [8, 4, 8, 8, 4, 8]
    assert study.total() == sum(driver.num_seeds())
    assert study.num_left_out() == 8
    # Optuna learns the mean so far of a configuration without its last seeds.
    assert {trial.state for trial in study.study.trials} == {TrialState.COMPLETE}
    values = [sign * trial.values[0] for trial in study.study.trials]
    assert values == pytest.approx(LEVELS, abs=0.02)


def test_ended_seeds_of_other_workers_count(factory: TrialFactory) -> None:
    study = make_study(factory)
    driver = Driver(study, 1)
    driver.run(8)
    together = study.suggest(6)
    for trial in together[:4]:
        driver.run_trial(trial)
    fifth, sixth = together[4:]
    assert study.on_trial_result(fifth, 1, 0.3, False)
    study.on_trial_complete(fifth, {"error": 0.3}, stopped=True)
    assert study.on_trial_result(sixth, 3, 0.3, True)  # it has finished already, and counts
    study.on_trial_complete(sixth, {"error": 0.3}, stopped=False)
    ended = study.study.trials[1]
    assert ended.state is TrialState.COMPLETE
    finished = [past.value for past in list(driver.configurations.values())[1].trials.values()]
    assert ended.value == pytest.approx((sum(v for v in finished if v is not None) + 0.3) / 5)


@pytest.mark.parametrize("num_trials", range(1, 28))
def test_rebuilt_search_leaves_out_the_same_seeds(factory: TrialFactory, num_trials: int) -> None:
    live = Driver(make_study(factory), 1)
    live.run(num_trials)
    rebuilt = make_study(factory)
    rebuilt.restore(list(live.configurations.values()))
    for study in (live.study, rebuilt):
        _trim(study, len(live.configurations))
    resumed = Driver(rebuilt, 1)
    resumed.configurations = {
        lr: PastConfiguration(params=past.params, trials=dict(past.trials))
        for lr, past in live.configurations.items()
    }
    live.run(8)
    resumed.run(8)
    assert resumed.num_seeds() == live.num_seeds()
    assert _outcomes(rebuilt.study.trials) == _outcomes(live.study.study.trials)


def _trim(study: OptunaSearcher, number: int) -> None:
    """Let a study start no further configuration, because samplers continue with another seed."""
    study._num_configurations = number


def _outcomes(trials: Sequence[optuna.trial.FrozenTrial]) -> list[Any]:
    return [(t.state, t.value, t.params, t.intermediate_values) for t in trials]
