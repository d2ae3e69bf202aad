"""What Optuna is given of configurations: live, and rebuilt from the results of a killed search."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import optuna
import pytest
from optuna.trial import TrialState

from orchestrator.execution.halting import Budget
from orchestrator.planning.discovery import load_task
from orchestrator.planning.plan import TrialFactory
from orchestrator.request import Request
from orchestrator.running import request_checks
from orchestrator.running import run as run_module
from orchestrator.running.plan import make_plan
from orchestrator.running.sweep import run_sweep
from orchestrator.search.function import InvalidConfigurationError
from orchestrator.search.history import PastConfiguration, PastTrial
from orchestrator.search.options import PRUNERS, SAMPLERS
from orchestrator.search.optuna_searcher import OptunaSearcher, make_sampler
from orchestrator.search.pruners import HalvingPruner, bracket_sizes
from results.storage.manifest_parts import Search
from results.storage.reading import Sweep, read_sweep
from tasks.contract import RequestError, Trial

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


def tried(
    factory: TrialFactory, seeds: list[int], steps: int
) -> tuple[list[TrialState], list[int]]:
    """Run every configuration in turn; Optuna's states, and how many steps each trial made."""
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
        study.on_trial_complete(trial, value, stopped=stop and at < steps)
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


def test_a_configuration_asked_for_again_does_not_run_again(factory: TrialFactory) -> None:
    def two(trial: optuna.Trial) -> dict[str, Any]:
        return {"degree": trial.suggest_categorical("degree", [3, 5])}

    study = make_study(factory, num_configurations=20, search=two)
    ran = []
    while not study.is_exhausted():
        for trial in study.suggest(1):
            ran.append(trial.id)
            study.on_trial_complete(trial, 0.5, stopped=False)
    assert len(ran) == len(set(ran)) == study.total() == 2
    assert [t.value for t in study.study.trials] == [0.5] * 20


# --- a killed search ------------------------------------------------------------------------------


@dataclass
class Record:
    """What results and checkpoints hold of one trial."""

    trial: Trial
    curve: list[tuple[int, float]]  # of its whole run
    steps: dict[int, float] = field(default_factory=dict)
    status: str = "interrupted"
    is_last_seed: bool = False


class Driver:
    """Drives a study as a coordinator does, trials side by side, until it is killed."""

    def __init__(self, study: OptunaSearcher, draw: random.Random, ats: Sequence[int]) -> None:
        self.study, self.draw, self.ats = study, draw, ats
        self.records: dict[str, Record] = {}
        self.running: list[Record] = []

    def run(self, num_events: int, slots: int) -> None:
        for _ in range(num_events):
            for trial in self.study.suggest(slots - len(self.running)):
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
        value = None if status == "failed" else list(record.steps.values())[-1]
        self.study.on_trial_complete(record.trial, value, stopped=status == "stopped")

    def history(self) -> list[PastConfiguration]:
        """As ``read_history`` gives it. A trial without a step has left nothing."""
        found: dict[str, dict[int, PastTrial]] = {}
        params: dict[str, Any] = {}
        for record in self.records.values():
            if record.status == "interrupted" and not record.steps:
                continue
            key = repr(record.trial.params)
            params[key] = record.trial.param_values()
            found.setdefault(key, {})[record.trial.seed] = PastTrial(
                id=record.trial.id,
                status=record.status,  # type: ignore[arg-type]
                value=list(record.steps.values())[-1] if record.steps else None,
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
@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_rebuilt_study_decides_as_the_live_one(
    factory: TrialFactory, pruner: str, direction: str, seeds: tuple[int, ...]
) -> None:
    stopped = going = resumed = 0
    for number in range(4):
        draw = random.Random(f"{pruner}{direction}{len(seeds)}{number}")
        ats = draw.choice([(1, 2, 3, 4, 5), (22, 44, 88, 176, 352), (4, 8, 12, 16, 17, 40)])
        live = make_study(factory, seeds, pruner=pruner, direction=direction)
        driver = Driver(live, draw, ats)
        driver.run(num_events=draw.randint(30, 120), slots=draw.randint(1, 6))

        rebuilt = make_study(factory, seeds, pruner=pruner, direction=direction)
        rebuilt.restore(driver.history())
        rebuilt.suggest(len(rebuilt._queue))  # what was left unfinished
        for record in driver.running:  # trials in flight, of any age
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
        for _ in range(4):  # and new trials
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


def test_a_rebuilt_study_goes_on_with_what_was_in_flight(factory: TrialFactory) -> None:
    live = make_study(factory, (0, 1), num_configurations=3)
    one, other, behind, _ = live.suggest(4)
    live.on_trial_result(one, 1, 0.5, True)
    live.on_trial_complete(one, 0.5, stopped=False)
    live.on_trial_result(behind, 1, 0.4, False)
    past = [
        PastConfiguration(
            params=one.param_values(),
            trials={0: PastTrial(id=one.id, status="finished", value=0.5, steps={1: 0.5})},
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
    rebuilt.on_trial_complete(other, 0.7, stopped=False)
    assert rebuilt.study.trials[0].value == pytest.approx(0.6)


def test_configurations_of_another_search_are_left_out(factory: TrialFactory) -> None:
    def narrow(trial: optuna.Trial) -> dict[str, Any]:
        return {"lr": trial.suggest_float("lr", 1e-4, 1e-3)}

    def past(**params: Any) -> PastConfiguration:
        trial = factory.trial(params, 0)
        done = PastTrial(id=trial.id, status="finished", value=0.5, steps={1: 0.5})
        return PastConfiguration(params=trial.param_values(), trials={0: done})

    study = make_study(factory, search=narrow)
    study.restore([past(lr=5e-4), past(lr=5e-3), past(lr=5e-4, epochs=9)])
    assert [t.params for t in study.study.trials] == [{"lr": 5e-4}]


# --- pruners and samplers -------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_halving_decides_as_optunas_where_that_keeps_all_it_needs(direction: str) -> None:
    """With steps that meet one rung at a time, and where Optuna's saw each trial's every step."""
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


def test_brackets_are_sized_as_in_optuna() -> None:
    for longest in (1, 2, 3, 8, 9, 26, 27, 100):
        theirs = optuna.pruners.HyperbandPruner(max_resource=longest)
        theirs._try_initialization(optuna.create_study())
        assert bracket_sizes(1, longest, 3) == theirs._trial_allocation_budgets


def test_samplers_are_made_with_the_arguments_that_are_recorded() -> None:
    for name in SAMPLERS:
        assert make_sampler(name, 3) is not None
    tpe = make_sampler("tpe", 0)
    assert isinstance(tpe, optuna.samplers.TPESampler)
    assert (tpe._constant_liar, tpe._multivariate, tpe._group) == (True, True, False)


# --- whole sweeps ---------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Sweep]:
    """Runs a search of the toy task in this process; its results."""

    def run(body: str = "", **changes: Any) -> Sweep:
        (tmp_path / "s.py").write_text(body or SEARCH)
        options: dict[str, Any] = {
            "task": "toy",
            "space": str(tmp_path / "s.py"),
            "engine": "local",
            "sampler": "random",
            "out": str(tmp_path / "runs"),
            "name": "s",
        }
        run_sweep(make_plan(Request(**(options | changes))))
        return read_sweep(str(tmp_path / "runs"), "toy", "s")

    return run


SEARCH = """
def search(trial):
    return {"lr": trial.suggest_float("lr", 1e-3, 1.0, log=True), "epochs": 3}
"""
SOME_INVALID = """
def search(trial):
    degree = trial.suggest_int("degree", 0, 12)
    if degree == 3:
        raise ValueError("not three")
    return {"degree": degree if degree % 2 else 20, "epochs": 1}
"""


def states(sweep: Sweep) -> list[str]:
    return [row["status"] for row in sweep.rows()]


def test_a_search_that_is_cut_off_goes_on_with_the_trial_in_flight(
    run: Callable[..., Sweep], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "runs/.checkpoints/toy/s"

    class Interrupting(Budget):
        """Halts when the third trial has a checkpoint."""

        seen: ClassVar[set[str]] = set()

        def __call__(self) -> bool:
            self.seen.update(path.name for path in folder.glob("*.safetensors"))
            return len(self.seen) >= 3

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "Budget", Interrupting)
        cut = run(trials=4)
    assert len(cut.rows()) == 3
    (interrupted,) = (row for row in cut.rows() if row["status"] == "interrupted")
    (left,) = (path.stem for path in folder.glob("*.safetensors"))
    assert interrupted["trial_id"] == left
    resumed = run(trials=4)
    assert len(resumed.rows()) == 4
    assert "interrupted" not in states(resumed)
    assert left in {row["trial_id"] for row in resumed.rows()}
    assert not list(folder.glob("*.safetensors"))
    before = resumed.trials.sort_by("trial_id").to_pydict()
    assert run(trials=4).trials.sort_by("trial_id").to_pydict() == before


def test_a_search_records_how_it_chose(run: Callable[..., Sweep]) -> None:
    found = run(trials=2, sampler="tpe", pruner="hyperband").manifest.search
    assert found == Search(
        trials=2,
        sampler={"name": "tpe", **SAMPLERS["tpe"]},
        pruner={"name": "hyperband", "reduction_factor": 3},
    )


@pytest.mark.parametrize("pruner", ["halving", "none"])
def test_only_a_pruner_stops_trials_early(run: Callable[..., Sweep], pruner: str) -> None:
    assert ("stopped" in states(run(trials=8, pruner=pruner))) == (pruner != "none")


def test_an_invalid_configuration_fails_and_the_others_run(run: Callable[..., Sweep]) -> None:
    sweep = run(SOME_INVALID, trials=12, pruner="none")
    rows = {row["status"]: row for row in sweep.rows()}
    assert rows.keys() == {"finished", "failed"}
    reasons = {row["reason"] for row in sweep.rows() if row["status"] == "failed"}
    assert "toy: `0 <= degree <= 12` must hold, but got degree=20" in reasons
    again = {row["trial_id"]: row for row in run(SOME_INVALID, trials=12, pruner="none").rows()}
    for row in sweep.rows():
        assert again[row["trial_id"]]["ended"] == row["ended"] or row["status"] == "failed"


def test_an_invalid_configuration_is_told_as_failed(factory: TrialFactory) -> None:
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


def test_a_search_over_the_length_of_a_schedule_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(load_task("toy")), "schedule_length", "epochs", raising=False)
    (tmp_path / "s.py").write_text(
        "def search(trial):\n    return {'epochs': trial.suggest_int('epochs', 1, 10)}\n"
    )
    request = Request(task="toy", space=str(tmp_path / "s.py"), engine="local")
    with pytest.raises(RequestError, match="--set epochs=10 or --pruner none"):
        request_checks.sample_search(make_plan(request))
    for change in ({"pruner": "none"}, {"settings": ("epochs=10",)}):
        changed: Any = {"task": "toy", "space": request.space, "engine": "local", **change}
        assert request_checks.sample_search(make_plan(Request(**changed))).trials


def test_a_file_may_offer_several_spaces(tmp_path: Path) -> None:
    both = SEARCH + 'GRID = {"degree": [1, 3]}\n'
    (tmp_path / "s.py").write_text(both)
    for kind, named in (("grid", "s-grid"), ("search", "s-search")):
        plan = make_plan(Request(task="toy", space=f"{tmp_path / 's.py'}:{kind}", engine="local"))
        assert (plan.name, len(plan.trials)) == (named, 2 if kind == "grid" else 0)
