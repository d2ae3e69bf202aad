"""``Run``: what its keys do, and its budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.request import Request
from orchestrator.running.plan import make_plan
from orchestrator.running.run import Run


def make_run(folder: Path, **options: Any) -> Run:
    return Run(make_plan(Request(task="toy", engine="local", out=str(folder), **options)))


@pytest.mark.parametrize(
    "options",
    [
        {"rerun": True},
        {"retry_failed": True},
        {"retry_cancelled": True},
        {"budget": 60.0},
        {"budget_trials": 3},
    ],
)
def test_d_is_refused_if_the_same_command_would_start_over(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    run = make_run(tmp_path, **options)
    run.can_detach = True
    assert "which would start over" in run.detach()
    assert not run.is_detached
    assert not run.budget()


def test_d_halts_a_sweep_that_can_go_on_in_the_background(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    assert run.detach() == "d works only for the command `sweep`"
    assert not run.is_detached
    run.can_detach = True
    assert "moving to the background" in run.detach()
    assert run.is_detached
    assert run.budget()


def test_paused_time_does_not_count_for_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("orchestrator.execution.halting.time.monotonic", lambda: now)
    run = make_run(tmp_path, budget=10.0)
    now += 6
    run.toggle_pause()
    now += 60
    assert not run.budget()
    run.toggle_pause()
    now += 3
    assert not run.budget()
    now += 1
    assert run.budget()
    assert run.budget.spent()
