"""``compare`` on real sweeps of the toy task."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness import run_command


def run(*args: str, cwd: Path, status: int = 0, **more: str) -> str:
    done = run_command(*args, cwd=cwd, **more)
    assert done.returncode == status, done.stdout + done.stderr
    if status == 2:
        assert len(done.stderr.splitlines()) == 1
        return done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweeps")
    sweep = ("sweep", "toy", "--engine", "local")
    run(*sweep, cwd=folder)
    run(*sweep, "--set", "epochs=40", "--name", "long", "--out", "elsewhere", cwd=folder)
    return folder


def test_two_real_sweeps_side_by_side(sweeps: Path) -> None:
    output = run("compare", "paper", "elsewhere/toy/long", cwd=sweeps, COLUMNS="100")
    assert "epochs" in output
    rows = [line.split() for line in output.splitlines() if line.split()[:1] in (["1"], ["9"])]
    assert len(rows) == 2
    assert "4 configurations in both, 0 only in paper, 0 only in long." in output
    assert "paired by point" in output
    table = json.loads(
        run("compare", "toy/paper", "elsewhere/toy/long", "--format", "json", cwd=sweeps)
    )[1]
    for found in table["compared"]:
        assert found["difference"] == pytest.approx(
            found["second"]["metrics"]["metric.error"] - found["first"]["metrics"]["metric.error"]
        )


def test_invalid_comparisons_are_refused(sweeps: Path) -> None:
    output = run("compare", "paper", "lnog", "--out", "elsewhere", cwd=sweeps, status=2)
    assert "no sweep named 'paper' under elsewhere" in output
    output = run("compare", "paper", "paper", "--format", "xml", cwd=sweeps, status=2)
    assert "--format takes" in output
    output = run("compare", "paper", "nowhere/toy/paper", cwd=sweeps, status=2)
    assert "no sweeps under nowhere; run `python -m orchestrator sweep toy --out nowhere`" in output
