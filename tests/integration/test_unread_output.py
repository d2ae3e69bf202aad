"""A sweep whose output nobody reads any more, as after ``| head``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import PYTHONPATH

from results.storage.reading import read_sweep


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_sweep_goes_on_without_a_reader(tmp_path: Path, engine: str) -> None:
    space, number = tmp_path / "grid.py", 600  # more than may wait to be written
    space.write_text(f"GRID = {{'lr': [i / 1e5 for i in range(1, {number + 1})], 'epochs': [1]}}\n")
    words = ["sweep", "toy", f"--engine={engine}", "--name=s", f"--space={space}"]
    with subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while "finished" not in (line := process.stdout.readline()):
            assert line, process.stderr.read()
        process.stdout.close()
        assert process.wait(timeout=120) == 0
        assert process.stderr.read() == ""
    rows = read_sweep(str(tmp_path / "runs"), "toy", "s").rows()
    assert [row["status"] for row in rows] == ["finished"] * number
