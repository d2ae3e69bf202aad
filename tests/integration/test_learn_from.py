"""``--learn-from``: what a search learns from earlier sweeps, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

import orchestrator as orc
from orchestrator.request import Request
from orchestrator.running.learned import describe_learned
from orchestrator.running.plan import make_plan
from orchestrator.running.stored_request import read_request
from orchestrator.search.optuna_searcher import OptunaSearcher
from orchestrator.search.pruners import LEARNED, OwnTrialsPruner, make_pruner
from results.storage.reading import Sweep, read_sweep
from results.tables.summary import summarize
from tasks.contract import RequestError

WIDE = {"degree": [1, 3, 9], "lr": [0.01, 0.1, 0.3]}
SPACE = {"degree": {"min": 0, "max": 5}, "lr": {"min": 1e-3, "max": 0.2, "log": True}}


def run(out: Path, space: Any, **options: Any) -> Sweep:
    options = {"set": {"epochs": 2}, **options}
    found = orc.sweep("toy", space, engine="local", out=out, **options)
    return read_sweep(str(out), *found.name.split("/"))


@pytest.fixture
def grid(tmp_path: Path) -> str:
    """The name of a finished grid of nine configurations with two seeds."""
    return run(tmp_path, WIDE, seeds=2, name="wide").manifest.name


def plan(out: Path, *names: str, **options: Any) -> Any:
    options = {"space": SPACE, "settings": {"epochs": 2}, "trials": 3, **options}
    request = Request(task="toy", engine="local", out=str(out), learn_from=names, **options)
    return make_plan(request)


def test_configurations_that_fit_are_learned(tmp_path: Path, grid: str) -> None:
    learned = plan(tmp_path, grid).learned
    found = {(t.params["degree"], t.params["lr"]): t.value for t in learned.trials}
    rows = summarize(read_sweep(str(tmp_path), "toy", "wide"))[0].rows
    assert found == {
        (row.params["degree"], row.params["lr"]): pytest.approx(row.metrics["metric.error"])
        for row in rows
        if row.params["degree"] != 9 and row.params["lr"] != 0.3
    }
    assert len(found) == 4
    assert describe_learned(learned) == (
        "The sampler learns from 4 configurations of toy/wide; 5 other configurations do not fit "
        "the space (outside: degree 3, lr 3)."
    )
    assert [t.params for t in learned.trials] == [
        t.params for t in plan(tmp_path, grid).learned.trials
    ]


def test_a_parameter_that_the_search_fixes_must_be_equal(tmp_path: Path, grid: str) -> None:
    run(tmp_path, {"lr": [0.01]}, name="longer", set={"epochs": 3})
    with pytest.raises(RequestError, match=r"none of 1 configuration .*\(outside: epochs 1\)"):
        _ = plan(tmp_path, "longer").learned
    both = plan(tmp_path, "longer", f"{tmp_path}/toy/{grid}").learned
    assert both.num_by_sweep == {"toy/longer": 0, "toy/wide": 4}
    assert both.outside["epochs"] == 1


@pytest.mark.parametrize(
    ("suggestion", "outside"),
    [
        ('trial.suggest_categorical("degree", [0, 1])', {"degree": 6}),
        ('trial.suggest_categorical("degree", ["a", 1])', {"degree": 6}),
        ('trial.suggest_int("degree", 2, 4)', {"degree": 6}),
    ],
)
def test_lists_and_ranges_name_what_is_outside(
    tmp_path: Path, grid: str, suggestion: str, outside: dict[str, int]
) -> None:
    (tmp_path / "s.py").write_text(f"def search(trial):\n    return {{'degree': {suggestion}}}\n")
    run(tmp_path, {"degree": [1, 3, 9], "lr": [0.1]}, seeds=2, name="one")
    learned = plan(tmp_path, "one", space=str(tmp_path / "s.py")).learned
    assert len(learned.trials) == 1
    assert {name: 3 * number for name, number in learned.outside.items()} == outside


def test_a_configuration_that_the_space_refuses_does_not_fit(tmp_path: Path, grid: str) -> None:
    (tmp_path / "s.py").write_text(
        "def search(trial):\n"
        "    degree = trial.suggest_int('degree', 0, 12)\n"
        "    if degree == 9:\n"
        "        raise ValueError('too many')\n"
        "    return {'degree': degree, 'lr': trial.suggest_float('lr', 0.001, 1.0)}\n"
    )
    learned = plan(tmp_path, grid, space=str(tmp_path / "s.py")).learned
    assert (len(learned.trials), learned.num_outside) == (6, 3)
    assert "; 3 other configurations do not fit the space." in describe_learned(learned)


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_the_sampler_uses_what_it_learned(tmp_path: Path, sampler: str) -> None:
    """Ten learned trials are as many as both samplers draw at random without them."""
    run(tmp_path, {"lr": [0.0011 * 1.5**n for n in range(10)]}, name="known")
    space = {"lr": {"min": 1e-3, "max": 0.2, "log": True}}
    plain = run(tmp_path, space, sampler=sampler, trials=3)
    taught = run(tmp_path, space, sampler=sampler, trials=3, learn_from="known")
    assert taught.manifest.name == plain.manifest.name.replace("-epochs", "-from-known-epochs")
    chosen = [sorted(row["param.lr"] for row in each.rows()) for each in (plain, taught)]
    assert min(chosen[1]) > min(chosen[0])  # the error falls with lr: nothing small is tried
    assert taught.manifest.search is not None
    assert taught.manifest.search.learned_from == {"toy/known": 10}
    text = " ".join(summarize(taught)[0].caption)
    assert "The sampler learned from 10 configurations of toy/known." in text


def test_a_taught_search_resumes_and_runs_again_from_its_file(tmp_path: Path, grid: str) -> None:
    first = run(tmp_path, SPACE, trials=3, learn_from=[grid])
    assert first.manifest.name == "search-degree-lr-from-wide-epochs-2"
    more = run(tmp_path, SPACE, trials=5, learn_from=[grid])
    assert more.path == first.path
    assert more.trials.num_rows == 5
    assert read_request(f"{more.path}/sweep.json").learn_from == (grid,)
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(f"{more.path}/optuna-journal.log")
    )
    study = optuna.load_study(study_name=more.manifest.name, storage=storage)
    assert [t.user_attrs.get(LEARNED) for t in study.trials] == [None] * 5
    assert more.manifest.search is not None
    assert more.manifest.search.learned_from == {"toy/wide": 4}


def test_the_address_of_a_learned_sweep_is_recorded_without_credentials(
    tmp_path: Path, grid: str
) -> None:
    names = (grid, "mock://AKIAKEY:s3cr3t@bucket/a,b/toy/other")
    made = plan(tmp_path, *names)
    recorded = ("wide", "mock://***@bucket/a,b/toy/other")
    assert made.identity.search["learn-from"] == recorded
    assert made.name == "search-degree-lr-from-wide-other-epochs-2"
    for options in ({"space": "grid"}, {"sampler": "random"}):
        with pytest.raises(RequestError) as caught:
            plan(tmp_path, *reversed(names), **options)
        assert "s3cr3t" not in str(caught.value)
    with pytest.raises(RequestError, match="does not record credentials; give --learn-from again"):
        _ = plan(tmp_path, *recorded).learned


def test_several_metrics_are_learned_together(tmp_path: Path) -> None:
    @orc.task(metric="error", maximize=False, columns=["cost"])
    def fit(x: float = 0.0) -> dict[str, float]:
        return {"error": x**2, "cost": (x - 1) ** 2}

    def sweep(space: Any, **options: Any) -> orc.Sweep:
        return orc.sweep(fit, space, engine="local", out=tmp_path, **options)

    sweep({"x": [0.0, 0.5, 3.0]}, name="g")
    found = sweep(
        {"x": {"min": -1.0, "max": 2.0}},
        metric=("error", "cost:minimize"),
        learn_from="g",
        trials=2,
    )
    assert found.name == "fit/search-x-error-cost-from-g"


def test_pruners_see_only_the_own_trials() -> None:
    """Learned trials are better than anything, and would stop every trial."""
    for name in ("halving", "hyperband", "median", "wilcoxon"):
        decided = []
        for taught in (False, True):
            study = optuna.create_study(
                sampler=optuna.samplers.RandomSampler(seed=0), pruner=make_pruner(name)
            )
            if taught:
                study.pruner = OwnTrialsPruner(study.pruner)
                for _ in range(20):
                    study.add_trial(
                        optuna.trial.create_trial(
                            value=-100.0,
                            intermediate_values=dict.fromkeys(range(1, 9), -100.0),
                            user_attrs={LEARNED: "toy/wide"},
                        )
                    )
            for number in range(12):
                trial = study.ask()
                for step in range(1, 9):
                    trial.report(number % 4 + step / 100, step)
                    decided.append(trial.should_prune())
                study.tell(trial, number % 4)
        assert decided[: 12 * 8] == decided[12 * 8 :]
        assert 0 < sum(decided) < len(decided)


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (("wild",), {}, "--learn-from: no sweep named 'wild' under .*; did you mean toy/wide"),
        (("retrieval/paper",), {}, "is a sweep of retrieval, not of toy"),
        (("wide",), {"sampler": "random"}, "has no effect with --sampler random, which does not"),
        (("wide",), {"sampler": "cmaes"}, "has no effect with --sampler cmaes"),
        (("wide",), {"space": "grid"}, "--learn-from wide has no effect: the space 'grid' lists"),
        (("wide",), {"settings": {"epochs": 9}}, r"none of 9 configurations fits .*epochs 4"),
    ],
)
def test_what_cannot_be_learned_is_refused(
    tmp_path: Path, grid: str, names: tuple[str, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        _ = plan(tmp_path, *names, **options).learned


def test_a_sweep_does_not_learn_from_itself(tmp_path: Path) -> None:
    run(tmp_path, SPACE, trials=2, name="s")
    request = Request(
        task="toy",
        space=SPACE,
        settings={"epochs": 2},
        engine="local",
        out=str(tmp_path),
        learn_from=("s",),
        name="s",
    )
    with pytest.raises(RequestError, match="was started without --learn-from"):
        make_plan(request)


def test_learned_trials_do_not_count_as_configurations(tmp_path: Path, grid: str) -> None:
    made = plan(tmp_path, grid)
    study = OptunaSearcher(
        search=made.space.search,
        factory=made.factory,
        seeds=(0,),
        num_configurations=3,
        direction="minimize",
    )
    study.learn_from(made.learned.trials)
    assert study.total() == 3
    assert len(study.suggest(10)) == 3
    assert study.is_exhausted()
