"""What Optuna learns of configurations: live, and rebuilt from the results of a killed search."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from orchestrator.planning.discovery import load_task
from orchestrator.planning.plan import TrialFactory
from orchestrator.search.function import InvalidConfigurationError
from orchestrator.search.history import PastConfiguration, PastTrial
from orchestrator.search.options import PRUNERS, SAMPLERS, SEED_PRUNERS
from orchestrator.search.optuna_searcher import OptunaSearcher
from orchestrator.search.samplers import make_sampler
from tasks.contract import RequestError, Trial

METRIC = "error"  # of the toy
BUILT_IN = [name for name in SAMPLERS if name != "auto"]
VALUES = [0.9, 0.1, 0.2, 0.8, 0.05, 0.3, 0.7, 0.01]  # most are clearly behind the first


def search(trial: optuna.Trial) -> dict[str, Any]:
    return {"lr": trial.suggest_float("lr", 1e-5, 1e-2, log=True)}


@pytest.fixture(scope="module")
def factory() -> TrialFactory:
    task = load_task("toy")
    model, data = task.resolve(task.default_model, task.default_data)
    return TrialFactory(task=task, model=model, data=data, fixed={})


def make_study(
    factory: TrialFactory, seeds: Sequence[int] = (0,), **changes: Any
) -> OptunaSearcher:
    defaults: dict[str, Any] = {
        "search": search,
        "factory": factory,
        "seeds": seeds,
        "num_configurations": 1000,
        "direction": "maximize",
        "sampler": "random",
    }
    return OptunaSearcher(**(defaults | changes))


def run_all(
    factory: TrialFactory, seeds: list[int], steps: int
) -> tuple[list[TrialState], list[int]]:
    """Run every configuration in turn; returns Optuna's states and the steps of each trial."""
    study = make_study(factory, seeds, num_configurations=len(VALUES), sampler="tpe")
    made: list[int] = []
    values: dict[int, Any] = {}
    while not study.is_exhausted():
        (trial,) = study.suggest(1)
        value = values.setdefault(trial.params.lr, VALUES[len(values) % len(VALUES)])
        stop, at = False, 0
        while not stop and at < steps:
            at += 1
            stop = study.on_trial_result(trial, at, value, at == steps)
        study.on_trial_complete(trial, {METRIC: value}, stopped=stop and at < steps)
        made.append(at)
    return [trial.state for trial in study.study.trials], made


def test_finished_configuration_is_complete(factory: TrialFactory) -> None:
    states, made = run_all(factory, [0], steps=1)
    assert states == [TrialState.COMPLETE] * len(VALUES)
    assert made == [1] * len(VALUES)


def test_worse_configuration_is_pruned_between_steps(factory: TrialFactory) -> None:
    states, made = run_all(factory, [0], steps=5)
    assert states[0] is TrialState.COMPLETE
    assert states.count(TrialState.PRUNED) >= 3
    assert [at < 5 for at in made] == [state is TrialState.PRUNED for state in states]


def test_configuration_pruned_at_its_first_seed_runs_no_other_seed(factory: TrialFactory) -> None:
    states, made = run_all(factory, [0, 1, 2], steps=1)
    assert states[0] is TrialState.COMPLETE
    assert TrialState.PRUNED in states
    assert len(made) < 3 * len(VALUES)


def test_configuration_suggested_again_while_its_last_seeds_run_waits_for_them(
    factory: TrialFactory,
) -> None:
    study = make_study(
        factory,
        seeds=[0, 1],
        num_configurations=2,
        search=lambda trial: {"lr": trial.suggest_categorical("lr", [1e-3])},
    )
    first, second = study.suggest(2)
    study.on_trial_complete(first, None, stopped=False)  # failed or cancelled
    assert study.suggest(2) == []
    study.on_trial_complete(second, {METRIC: 1.0}, stopped=False)
    assert study.is_exhausted()
    assert [trial.state for trial in study.study.trials] == [TrialState.FAIL] * 2


def test_repeated_configuration_does_not_run_again(factory: TrialFactory) -> None:
    def two(trial: optuna.Trial) -> dict[str, Any]:
        return {"degree": trial.suggest_categorical("degree", [3, 5])}

    study = make_study(factory, num_configurations=20, search=two)
    ran = []
    while not study.is_exhausted():
        for trial in study.suggest(1):
            ran.append(trial.id)
            study.on_trial_complete(trial, {METRIC: 0.5}, stopped=False)
    assert len(ran) == len(set(ran)) == study.total() == 2
    assert [t.value for t in study.study.trials] == [0.5] * 20


@dataclass
class Record:
    """What results and checkpoints contain of one trial."""

    trial: Trial
    curve: list[tuple[int, float]]  # of its whole run
    steps: dict[int, float] = field(default_factory=dict)
    status: str = "interrupted"
    is_last_seed: bool = False


class Driver:
    """Drives a study as a coordinator does, with several trials at once, until it is killed."""

    def __init__(self, study: OptunaSearcher, draw: random.Random, ats: Sequence[int]) -> None:
        self.study, self.draw, self.ats = study, draw, ats
        self.records: dict[str, Record] = {}
        self.running: list[Record] = []

    def run(self, num_events: int, num_workers: int) -> None:
        for _ in range(num_events):
            for trial in self.study.suggest(num_workers - len(self.running)):
                curve = [(at, self.draw.random()) for at in self.ats]
                self.records[trial.id] = Record(trial=trial, curve=curve)
                self.running.append(self.records[trial.id])
            self.step(self.draw.choice(self.running))

    def step(self, record: Record) -> None:
        """One more step of a trial; sometimes a failure instead."""
        if self.draw.random() < 0.03:
            self.end(record, "failed")
            return
        at, value = record.curve[len(record.steps)]
        record.steps[at] = value
        last = at == self.ats[-1]
        stop = self.study.on_trial_result(record.trial, at, value, last)
        record.is_last_seed = stop and last
        if stop or last:
            self.end(record, "finished" if last else "stopped")

    def end(self, record: Record, status: str) -> None:
        record.status = status
        self.running.remove(record)
        metrics = None if status == "failed" else {METRIC: list(record.steps.values())[-1]}
        self.study.on_trial_complete(record.trial, metrics, stopped=status == "stopped")

    def history(self) -> list[PastConfiguration]:
        """As ``read_history`` returns it. A trial without a step leaves nothing."""
        found: dict[str, dict[int, PastTrial]] = {}
        params: dict[str, Any] = {}
        for record in self.records.values():
            if record.status == "interrupted" and not record.steps:
                continue
            key = repr(record.trial.params)
            params[key] = record.trial.param_values()
            value = list(record.steps.values())[-1] if record.steps else None
            found.setdefault(key, {})[record.trial.seed] = PastTrial(
                id=record.trial.id,
                status=record.status,  # type: ignore[arg-type]
                value=value,
                metrics={} if value is None else {METRIC: value},
                steps=dict(record.steps),
                is_last_seed=record.is_last_seed,
            )
        return [PastConfiguration(params=params[key], trials=found[key]) for key in found]


def decisions(
    study: OptunaSearcher, trial: Trial, steps: Sequence[tuple[int, float]]
) -> list[bool]:
    return [study.on_trial_result(trial, at, value, False) for at, value in steps]


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("pruner", [name for name in PRUNERS if name not in SEED_PRUNERS])
def test_rebuilt_study_makes_the_same_decisions(
    factory: TrialFactory, pruner: str, direction: str, seeds: tuple[int, ...]
) -> None:
    stopped = going = resumed = 0
    for number in range(4):
        draw = random.Random(f"{pruner}{direction}{len(seeds)}{number}")
        ats = draw.choice([(1, 2, 3, 4, 5), (22, 44, 88, 176, 352), (4, 8, 12, 16, 17, 40)])
        live = make_study(factory, seeds, pruner=pruner, direction=direction)
        driver = Driver(live, draw, ats)
        driver.run(num_events=draw.randint(30, 120), num_workers=draw.randint(1, 6))

        rebuilt = make_study(factory, seeds, pruner=pruner, direction=direction)
        rebuilt.restore(driver.history())
        rebuilt.suggest(len(rebuilt._queue))  # the unfinished trials
        for record in driver.running:
            if not record.steps:
                continue
            left = record.curve[len(record.steps) :]
            decided = decisions(live, record.trial, left)
            if record.trial.id not in rebuilt._by_trial:  # its configuration is pruned already
                assert all(decided)
                continue
            assert decisions(rebuilt, record.trial, left) == decided
            resumed += 1
        for study in (live, rebuilt):
            study._queue.clear()
        for _ in range(4):  # new trials
            lr, curve = 10 ** draw.uniform(-5, -2), [(at, draw.random()) for at in ats]
            decided_by = []
            for study in (live, rebuilt):
                study.study.enqueue_trial({"lr": lr})
                trial = study.suggest(len(seeds))[0]
                assert trial.params.lr == pytest.approx(lr)
                decided_by.append(decisions(study, trial, curve))
                study._queue.clear()
            assert decided_by[0] == decided_by[1]
            stopped += any(decided_by[0])
            going += not all(decided_by[0])
    assert resumed
    assert going
    assert stopped or pruner == "none"


def test_rebuilt_study_continues_unfinished_trials(factory: TrialFactory) -> None:
    live = make_study(factory, (0, 1), num_configurations=3)
    one, other, behind, _ = live.suggest(4)
    live.on_trial_result(one, 1, 0.5, True)
    live.on_trial_complete(one, {METRIC: 0.5}, stopped=False)
    live.on_trial_result(behind, 1, 0.4, False)
    past = [
        PastConfiguration(
            params=one.param_values(),
            trials={
                0: PastTrial(
                    id=one.id, status="finished", value=0.5, metrics={METRIC: 0.5}, steps={1: 0.5}
                )
            },
        ),
        PastConfiguration(
            params=behind.param_values(),
            trials={0: PastTrial(id=behind.id, status="interrupted", steps={1: 0.4})},
        ),
    ]
    rebuilt = make_study(factory, (0, 1), num_configurations=3)
    rebuilt.restore(past)
    again = rebuilt.suggest(4)
    assert [t.id for t in again[:2]] == [other.id, behind.id]  # not the seed that is finished
    assert rebuilt.study.trials[1].intermediate_values == {1: 0.4}
    rebuilt.on_trial_complete(other, {METRIC: 0.7}, stopped=False)
    assert rebuilt.study.trials[0].value == pytest.approx(0.6)


def test_configurations_outside_the_search_space_are_ignored(factory: TrialFactory) -> None:
    def narrow(trial: optuna.Trial) -> dict[str, Any]:
        return {"lr": trial.suggest_float("lr", 1e-4, 1e-3)}

    def past(**params: Any) -> PastConfiguration:
        trial = factory.trial(params, 0)
        done = PastTrial(id=trial.id, status="finished", value=0.5, steps={1: 0.5})
        return PastConfiguration(params=trial.param_values(), trials={0: done})

    study = make_study(factory, search=narrow)
    study.restore([past(lr=5e-4), past(lr=5e-3), past(lr=5e-4, epochs=9)])
    assert [t.params for t in study.study.trials] == [{"lr": 5e-4}]


def test_sampler_arguments_match_the_recorded_ones() -> None:
    for name in BUILT_IN:
        assert make_sampler(name, 3) is not None
    tpe = make_sampler("tpe", 0)
    assert isinstance(tpe, optuna.samplers.TPESampler)
    for argument in ("constant_liar", "multivariate", "group"):
        assert getattr(tpe, f"_{argument}") is SAMPLERS["tpe"][argument]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_sampler_suggests_the_same_again_with_the_same_seed(
    name: str, factory: TrialFactory
) -> None:
    def suggested() -> list[dict[str, Any]]:
        searcher = make_study(factory, sampler=name, num_configurations=4)
        found = []
        for _ in range(4):
            for trial in searcher.suggest(1):
                found.append(trial.param_values())
                searcher.on_trial_complete(trial, {METRIC: 0.1 * len(found)}, stopped=False)
        return found

    assert suggested() == suggested()


def test_a_sampler_may_be_any_class_of_optunas_interface() -> None:
    found = make_sampler("optuna.samplers:TPESampler(n_startup_trials=3)", 7)
    assert isinstance(found, optuna.samplers.TPESampler)
    assert found._n_startup_trials == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "tpee",
            "--sampler takes tpe, random, qmc, gp, cmaes, nsga2, auto or module:Class, but got",
        ),
        ("optuna.samplers:TPESampler(3)", "must be plain values by name"),
        ("optuna.samplers:TPESampler(x=os)", "must be plain values by name"),
        ("optuna.samplers:Nothing", "failed with AttributeError"),
        ("optuna.samplers:TPESampler(x=3)", "failed with TypeError"),
        ("fractions:Fraction", "is no sampler of Optuna, but Fraction"),
        ("no_such_module:Sampler", "failed with ModuleNotFoundError"),
    ],
)
def test_an_unusable_sampler_is_refused(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        make_sampler(text, 0)


def test_invalid_configuration_is_failed_in_the_study(factory: TrialFactory) -> None:
    def half(trial: optuna.Trial) -> dict[str, Any]:
        lr = trial.suggest_float("lr", -1.0, 1.0)
        return {"lr": lr}

    refused: list[InvalidConfigurationError] = []
    study = make_study(factory, search=half, num_configurations=20, on_invalid=refused.append)
    ran = study.suggest(20)
    assert len(ran) + len(refused) == 20 == len(study.study.trials)
    assert refused
    assert study.total() == len(ran)
    states = [trial.state for trial in study.study.trials]
    assert states.count(TrialState.FAIL) == len(refused)


def test_cancelled_trial_has_failed_for_optuna(factory: TrialFactory) -> None:
    study = make_study(factory)
    (trial,) = study.suggest(1)
    study.on_trial_complete(trial, None, stopped=False)
    past = PastTrial(id=trial.id, status="cancelled", value=0.5, metrics={"error": 0.5})
    again = make_study(factory)
    again.restore([PastConfiguration(params={"lr": trial.params.lr}, trials={0: past})])
    for each in (study, again):
        assert [frozen.state for frozen in each.study.trials] == [TrialState.FAIL]
