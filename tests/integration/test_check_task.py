"""``check-task`` with every check, some of which start processes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import run_wide
from installed_package import Package
from toy_sweep.task import ToyTask
from tutorial import install_first_task, install_network

from orchestrator.contract_suite import CHECKS, Subject, run_checks
from results.storage.reading import read_sweep


def test_toy_task_passes_every_check() -> None:
    outcomes = list(run_checks(CHECKS, Subject(ToyTask(), "toy", settings={"epochs": 3})))
    assert {outcome.verdict for outcome in outcomes} == {"passed"}


@pytest.mark.parametrize(
    ("install", "name", "num_rows"),
    [(install_first_task, "descent", 3), (install_network, "spiral", 4)],
)
def test_documented_task_passes_every_check_and_runs(
    install: Callable[[Path], None],
    name: str,
    num_rows: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    grid = ("sweep", name, "--space", "grid")
    try:
        status, out, err = run_wide("check-task", name)
        assert (status, err) == (0, "")
        assert f"{name}: {len(CHECKS)} passed" in out
        out_folder = str(tmp_path / "runs")
        words = (*grid, "--set", "epochs=2", "--engine", "local", "--out", out_folder)
        status, out, err = run_wide(*words, "--name", "grid")
        assert (status, err) == (0, "")
        assert len(read_sweep(out_folder, name, "grid").rows()) == num_rows
        status, out, err = run_wide(*grid, "--data", "photos", "--dry-run")
        assert (status, out) == (2, "")
        assert f"the only data of {name} is 'none', but got 'photos'" in err
        status, out, err = run_wide(*grid, "--final", "test", "--dry-run")
        assert (status, out) == (2, "")
        assert f"--final test: {name} cannot score another split" in err
    finally:
        sys.modules.pop(name, None)


def test_check_task_prints_one_line_per_check(package: Package) -> None:
    status, out, err = run_wide("check-task", "mine", "--set", "epochs=2")
    assert (status, err) == (0, "")
    assert out.count("passed ") >= len(CHECKS)
    assert f"mine: {len(CHECKS)} passed" in out
    package.edit("task.py", "at=epoch", "at=1")
    package.forget()
    status, out, err = run_wide("check-task", "mine", "--set", "epochs=3")
    assert (status, err) == (1, "")
    assert "FAILED" in out
    assert "at must increase" in out
    assert "fix: return a larger `at`" in out
