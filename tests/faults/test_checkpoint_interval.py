"""Ctrl-C loses no step; a kill loses at most one checkpoint interval."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from harness import Run, engine_args, interrupt

from orchestrator.saving.checkpoints import Checkpoints
from results.storage.reading import read_sweep

THREE = "GRID = {'level': [0, 1, 2]}\n"


def last_steps(checkpoints: Checkpoints) -> dict[str, int]:
    found = {}
    for trial_id in checkpoints.trial_ids():
        loaded = checkpoints.load(trial_id, "cpu")
        assert loaded is not None
        found[trial_id] = len(loaded[1])
    return found


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_ctrl_c_loses_no_step(tmp_path: Path, cluster: str, engine: str) -> None:
    where = engine_args(engine, cluster)
    args = (*where, "--set=steps=12", "--set=seconds=0.2", "--checkpoint-interval=1h")
    run = Run(tmp_path, *args, space=THREE)
    run.wait_for(lambda: len(run.find("step")) >= 9)
    interrupt(run)
    cut = {row["trial_id"]: row for row in read_sweep(run.out, "fragile", "s").rows()}
    saved = last_steps(Checkpoints(f"{run.out}/.checkpoints"))
    assert saved == {
        trial_id: row["num_steps"] for trial_id, row in cut.items() if row["num_steps"]
    }
    assert max(saved.values()) > 1
    again = Run(tmp_path, *args, space=THREE)
    again.end()
    assert set(Counter(what for what, _ in again.find("step")).values()) == {1}
    assert len(again.totals()) == 3


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_kill_loses_at_most_one_checkpoint_interval(
    tmp_path: Path, cluster: str, engine: str
) -> None:
    where = engine_args(engine, cluster)
    args = (*where, "--set=steps=8", "--set=seconds=0.2", "--checkpoint-interval=1h")
    run = Run(tmp_path, *args, space=THREE)
    run.wait_for(lambda: len(run.find("step")) >= 9)
    run.process.kill()
    run.process.wait()
    assert set(last_steps(Checkpoints(f"{run.out}/.checkpoints")).values()) == {1}
    again = Run(tmp_path, *args, space=THREE)
    again.end()
    undisturbed = Run(tmp_path, "--engine=local", "--set=steps=8", space=THREE, out="other")
    undisturbed.end()
    assert again.totals() == undisturbed.totals()
