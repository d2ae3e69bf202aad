"""Trials of versions that lacked some of the parameters keep their rows in the tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.request import Request
from orchestrator.running.plan import make_plan
from orchestrator.running.run import Run
from results.storage.reading import read_sweep
from results.storage.store import TrialResult
from results.tables.summary import summarize
from tasks.contract import Trial


def earlier_row(trial: Trial) -> dict[str, Any]:
    """The row that a version without the parameters that the id leaves out has stored."""
    names = trial.params.content()
    params = {f"param.{n}": value for n, value in trial.param_values().items() if n in names}
    return {
        **{
            "trial_id": trial.id,
            "seed": trial.seed,
            "status": "finished",
            "version": trial.version,
        },
        **{"model": trial.model.name, "model_fingerprint": trial.model.fingerprint},
        **{"data": trial.data.name, "data_fingerprint": trial.data.fingerprint},
        **{"status": "finished", "num_steps": 1, "seconds": 1.0, **params},
    }


@pytest.mark.parametrize("task", ["retrieval", "captioning", "diffusion"])
def test_table_finds_trials_without_later_parameters(task: str, tmp_path: Path) -> None:
    plan = make_plan(Request(task=task, space="paper", name="s", out=str(tmp_path), engine="local"))
    run = Run(plan)
    run.store.write_manifest(run.manifest(1.0))
    rows = [earlier_row(trial) for trial in plan.trials]
    run.store.add([TrialResult(trial=row, steps=[], samples=None) for row in rows])
    tables = summarize(read_sweep(str(tmp_path), task, "s"))
    found = {row.status for table in tables for row in table.rows}
    assert found == {""}
