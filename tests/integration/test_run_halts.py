"""``Run``: what its keys do, its budget, and what other terminals see."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.control.drivers import read_drivers
from orchestrator.execution.halting import Budget, handle_ctrl_c
from orchestrator.request import Request
from orchestrator.running.plan import make_plan
from orchestrator.running.run import Run, tracked_sweep


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


def press_ctrl_c(run: Run) -> None:
    with handle_ctrl_c(run.budget, lambda: 1, lambda line: None):
        signal.raise_signal(signal.SIGINT)


def press_d(run: Run) -> None:
    run.can_detach = True
    run.detach()


@pytest.mark.parametrize("halt", [press_ctrl_c, press_d])
@pytest.mark.parametrize("is_paused", [False, True])
def test_other_terminals_see_that_a_run_halts(
    tmp_path: Path, halt: Callable[[Run], None], is_paused: bool
) -> None:
    run = make_run(tmp_path)
    if is_paused:
        run.toggle_pause()
    with run.listener():
        assert read_state(run) == ("paused" if is_paused else "running")
        halt(run)
        wait_for(lambda: read_state(run) == "stopping")
    assert read_state(run) == "ended"


def test_other_terminals_see_that_the_budget_is_reached(tmp_path: Path) -> None:
    run = make_run(tmp_path, budget=1e-3)
    with run.listener():
        wait_for(lambda: read_state(run) == "stopping")


def read_state(run: Run) -> str:
    (driver,) = read_drivers(run.store.filesystem, run.store.path)
    return driver.state


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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


def test_trackers_get_the_folder_of_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    request = Request(task="toy", engine="local", out="~/runs", track=("tensorboard",))
    tracked = tracked_sweep(make_plan(request))
    assert tracked.folder == f"{tmp_path}/runs/toy/paper"
    assert tracked.parameters["degree"]


@pytest.mark.timeout(60)
def test_signal_does_not_wait_for_a_lock_of_what_it_interrupts() -> None:
    lock, lines, budget = threading.Lock(), list[str](), Budget(None)

    def print_line(line: str) -> None:
        with lock:
            lines.append(line)

    with handle_ctrl_c(budget, lambda: 1, print_line), lock:
        signal.raise_signal(signal.SIGINT)
        assert budget.interrupted
    assert lines == ["Stopping after the current step of 1 trial; press Ctrl-C again to stop now."]
