"""Errors of the commands that watch and steer a sweep which no process of this machine runs."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from harness import run_command

from orchestrator.cli import control
from orchestrator.control.drivers import new_driver, write_driver
from results.storage.filesystem import open_filesystem
from results.storage.reading import read_sweep
from results.storage.run_lock import run_lock

COMMANDS = ("attach", "pause", "resume", "stop", "ps")
CANCEL = ("cancel", "s", "a")  # writes the row itself, but only if no process runs the sweep


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with the sweep toy/s, two of whose four trials have run."""
    words = ("sweep", "toy", "--engine", "local", "--name", "s", "--out", tmp_path / "runs")
    assert run_command(*words, "--budget", "2trials").returncode == 0
    return tmp_path / "runs"


def error(name: str, *words: object) -> str:
    done = run_command(name, *words)
    assert (done.returncode, done.stdout) == (2, ""), done.stdout
    return " ".join(done.stderr.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_sweep_that_is_not_running(out: Path, name: str) -> None:
    line = error(name, "s", "--out", out)
    assert line.startswith("error: toy/s is not running (partial, 2/4 trials)")
    if name == "resume":
        assert "and `resume` continues a paused sweep; run its command again: python -m " in line
        assert line.endswith("--budget 2trials")
    else:
        assert f"`python -m orchestrator ps --out {out}` lists the sweeps that are" in line


@pytest.mark.parametrize("name", COMMANDS)
def test_sweep_that_does_not_exist(out: Path, name: str) -> None:
    assert "no sweep named 'x' under" in error(name, "x", "--out", out)
    assert "no sweeps under" in error(name, "x", "--out", out / "none")


@pytest.mark.parametrize("name", COMMANDS)
def test_sweep_on_another_machine_that_does_not_answer(out: Path, name: str) -> None:
    filesystem, base = open_filesystem(str(out))
    seen = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    other = dataclasses.replace(new_driver("toy/s", "ray", ""), host="elsewhere", updated=seen)
    write_driver(filesystem, f"{base}/toy/s", other)
    line = error(name, "s", "--out", out)
    assert line.startswith(f"error: toy/s does not answer: pid {other.pid} on elsewhere since ")
    assert "last wrote its state at " in line
    assert error(*CANCEL, "--out", out) == line
    write_driver(filesystem, f"{base}/toy/s", dataclasses.replace(other, state="ended"))
    assert "is not running" in error(name, "s", "--out", out)


@pytest.mark.parametrize("name", COMMANDS)
def test_sweep_that_is_starting(out: Path, name: str) -> None:
    """Or that an older version runs, which writes no ``driver.json``."""
    filesystem, base = open_filesystem(str(out))
    with run_lock(filesystem, f"{base}/toy/s"):
        line = error(name, "s", "--out", out)
        assert (
            line == "error: toy/s is starting, or an older version runs it; try again in a moment"
        )
        assert error(*CANCEL, "--out", out) == line


def test_run_that_starts_while_a_trial_is_cancelled(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filesystem, base = open_filesystem(str(out))
    monkeypatch.setattr(control, "check_not_running", lambda sweep, root: None)  # it did not run
    before = read_sweep(str(out), "toy", "s").rows()
    with run_lock(filesystem, f"{base}/toy/s"):
        line = error(*CANCEL, "--out", out)
    assert line == "error: a run of toy/s has just started; try again in a moment"
    assert read_sweep(str(out), "toy", "s").rows() == before
