"""Sweeps whose output nobody reads anymore."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from paths import PYTHONPATH

from results.storage.reading import read_sweep

COMMAND = shlex.join([sys.executable, "-m", "orchestrator"])


def shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script that may call ``$orchestrator``."""
    return subprocess.run(
        ["bash", "-c", f"orchestrator={shlex.quote(COMMAND)}\n{script}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        timeout=300,
    )


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
    options = "toy --engine=local --name=s --set epochs=100000 --set lr=0.001"
    done = shell(
        f"""
        set -o pipefail
        $orchestrator sweep {options} 2>&1 > >(head -1 > first) &
        sweep=$!
        until [ -s first ]; do sleep 0.1; done
        kill -INT $sweep
        wait $sweep
        """,
        tmp_path,
    )
    assert done.returncode == 130, done.stderr
    assert set(statuses(tmp_path)) == {"interrupted"}


def test_document_needs_no_reader_of_stderr(tmp_path: Path) -> None:
    done = shell("$orchestrator sweep toy --engine=local --name=s --json 2> >(head -1)", tmp_path)
    assert done.returncode == 0
    document = json.loads(done.stdout[done.stdout.index("{") :])
    assert document["sweeps"][0]["trials_by_status"] == {"finished": 4}
