"""Trials rebuilt from the rows of real sweeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.request import Request
from orchestrator.running.plan import make_plan
from orchestrator.running.recorded import check_sources, recorded_trial
from orchestrator.running.sweep import run_sweep
from results.storage.reading import read_sweep


@pytest.mark.parametrize(
    ("task", "settings"),
    [("captioning", ("num_images=20",)), ("retrieval", ("epochs=0",))],
)
def test_every_row_rebuilds_its_trial(task: str, settings: tuple[str, ...], tmp_path: Path) -> None:
    plan = make_plan(
        Request(task=task, settings=settings, engine="local", out=str(tmp_path), name="s")
    )
    assert run_sweep(plan) == 0
    rows = read_sweep(str(tmp_path), task, "s").rows()
    assert len(rows) == len(plan.trials)
    for row in rows:
        trial = recorded_trial(plan.task, row)
        assert trial == next(each for each in plan.trials if each.id == row["trial_id"])
        check_sources(plan.task, trial)
