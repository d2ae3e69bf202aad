"""Sweeps whose output nobody reads anymore."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from machines import wait_for
from paths import PYTHONPATH

from results.storage.reading import read_sweep

COMMAND = shlex.join([sys.executable, "-m", "orchestrator"])


def start(script: str, folder: Path, **options: Any) -> subprocess.Popen[str]:
    """Start a script that may call ``$orchestrator``."""
    return subprocess.Popen(
        ["bash", "-c", f"orchestrator={shlex.quote(COMMAND)}\n{script}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        text=True,
        start_new_session=True,
        **options,
    )


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a script and everything that it started, if they still run."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script that may call ``$orchestrator``."""
    process = start(script, folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = process.communicate(timeout=300)
    finally:
        kill(process)
    return subprocess.CompletedProcess(script, process.returncode, out, err)


def statuses(folder: Path) -> list[str]:
    return [row["status"] for row in read_sweep(str(folder / "runs"), "toy", "s").rows()]


@pytest.mark.parametrize("engine", ["local", "ray"])
@pytest.mark.parametrize("redirection", ["2> errors", "2>&1"])
def test_sweep_goes_on_without_a_reader(tmp_path: Path, engine: str, redirection: str) -> None:
    number = 600  # more trials than may wait to be written
    (tmp_path / "grid.py").write_text(
        f"GRID = {{'lr': [i / 1e5 for i in range(1, {number + 1})], 'epochs': [1]}}\n"
    )
    options = f"toy --engine={engine} --name=s --space=grid.py"
    done = shell(
        f"$orchestrator sweep {options} {redirection} | head -2; echo ${{PIPESTATUS[0]}}", tmp_path
    )
    lines = done.stdout.splitlines()
    assert lines[-1] == "0", done.stdout
    assert len(lines) == 3
    assert statuses(tmp_path) == ["finished"] * number
    if redirection == "2> errors":
        assert (tmp_path / "errors").read_text() == ""


def test_ctrl_c_that_also_ends_the_reader_keeps_the_finished_steps(tmp_path: Path) -> None:
    sweep = f"{COMMAND} sweep toy --engine=local --name=s --set epochs=100000 --set lr=0.001"
    process = start(f"({sweep}; echo $? > status) 2>&1 | head -1 > first", tmp_path)
    try:
        first, steps = tmp_path / "first", tmp_path / "runs/toy/s/steps"
        wait_for(lambda: first.exists() and first.stat().st_size > 0)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        wait_for((tmp_path / "status").exists)
    finally:
        kill(process)
    assert (tmp_path / "status").read_text() == "130\n"
    rows = read_sweep(str(tmp_path / "runs"), "toy", "s").rows()
    assert {row["status"] for row in rows} == {"interrupted"}
    assert all(row["num_steps"] > 0 for row in rows)
    assert list(steps.glob("*.parquet"))


def test_document_needs_no_reader_of_stderr(tmp_path: Path) -> None:
    options = "toy --engine=local --name=s --json"
    done = shell(f"$orchestrator sweep {options} 2> >(head -1 > first)", tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["sweeps"][0]["trials_by_status"] == {"finished": 4}


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_sweep_needs_no_output(tmp_path: Path, closed: str) -> None:
    done = shell(f"$orchestrator sweep toy --engine=local --name=s {closed}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert statuses(tmp_path) == ["finished"] * 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_of_the_output_costs_only_the_tables(tmp_path: Path) -> None:
    done = shell("$orchestrator sweep toy --engine=local --name=s > /dev/full", tmp_path)
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert statuses(tmp_path) == ["finished"] * 4
