"""``prune`` during a sweep, and after the sweep was interrupted or killed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from harness import Run
from harness import command as run
from prunable import file_names


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_prune_keeps_what_an_interrupted_sweep_needs(tmp_path: Path, end: signal.Signals) -> None:
    words = ("--engine", "local", "--set", "seconds=0.05")
    sweep = Run(tmp_path, *words, space="GRID = {'level': [0, 1], 'steps': [20]}\n")
    saved = tmp_path / "out" / ".checkpoints"
    sweep.wait_for(lambda: saved.is_dir() and any(saved.glob("*.safetensors")))
    output = run("prune", "--sweeps", "--checkpoints", "--needed", "--yes", "--out", sweep.out)
    assert "it is running" in output
    sweep.process.send_signal(end)
    sweep.process.communicate(timeout=60)
    assert list(saved.glob("*.safetensors"))
    output = run("prune", "--checkpoints", "--stages", "--yes", "--out", sweep.out)
    assert "their trials are not finished" in output
    assert list(saved.glob("*.safetensors"))
    run("prune", "s", "--sweeps", "--yes", "--out", sweep.out)
    assert not [p for p in file_names(tmp_path / "out") if not p.startswith(".stages")]
