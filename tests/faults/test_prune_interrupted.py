"""``prune`` beside a running sweep, and after it was interrupted or killed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from harness import Run
from harness import command as run
from prunable import paths


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_sweep_that_was_cut_off_still_resumes(tmp_path: Path, end: signal.Signals) -> None:
    words = ("--engine", "local", "--set", "seconds=0.05")
    sweep = Run(tmp_path, *words, space="GRID = {'level': [0, 1], 'steps': [20]}\n")
    saved = tmp_path / "out" / ".checkpoints"
    sweep.wait_for(lambda: saved.is_dir() and any(saved.glob("*.safetensors")))
    told = run("prune", "--sweeps", "--checkpoints", "--needed", "--yes", "--out", sweep.out)
    assert "it is running" in told
    sweep.process.send_signal(end)
    sweep.process.communicate(timeout=60)
    assert list(saved.glob("*.safetensors"))
    told = run("prune", "--checkpoints", "--stages", "--yes", "--out", sweep.out)
    assert "trials that are still to finish" in told
    assert list(saved.glob("*.safetensors"))
    run("prune", "s", "--sweeps", "--yes", "--out", sweep.out)
    assert not [p for p in paths(tmp_path / "out") if not p.startswith(".stages")]
