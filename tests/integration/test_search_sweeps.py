"""Whole searches of the toy task, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from orchestrator.execution.halting import Budget
from orchestrator.planning.discovery import load_task
from orchestrator.request import Request
from orchestrator.running import request_checks
from orchestrator.running import run as run_module
from orchestrator.running.plan import make_plan
from orchestrator.running.sweep import run_sweep
from orchestrator.search.options import SAMPLERS
from results.storage.manifest_parts import Search
from results.storage.reading import Sweep, read_sweep
from tasks.contract import RequestError


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Sweep]:
    """Runs a search of the toy task in this process; returns its results."""

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


def test_interrupted_search_resumes_its_running_trial(
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


def test_search_records_sampler_and_pruner(run: Callable[..., Sweep]) -> None:
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
