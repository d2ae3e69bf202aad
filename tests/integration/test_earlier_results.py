"""Trials that failed in an earlier run."""

from __future__ import annotations

from pathlib import Path

from harness import run_wide


def test_repeated_command_reports_trials_that_failed_earlier(tmp_path: Path) -> None:
    space = tmp_path / "s.py"
    out = str(tmp_path / "runs")
    args = ("sweep", "toy", "--space", str(space), "--engine", "local", "--out", out)
    space.write_text("GRID = {'lr': [90.0, 80.0, 70.0], 'epochs': [30]}\n")
    assert run_wide(*args)[0] == 1
    status, text, _ = run_wide(*args)
    assert status == 1
    assert "All 3 trials failed in an earlier run and did not run again." in text
    assert "First reason: " in text
    assert "`show toy/s " in text
    assert f"--out {out}`; add --retry-failed" in text
    assert "already done" not in text
    trial = text.split("`show toy/s ")[1].split()[0]
    assert run_wide("show", "toy/s", trial, "--out", out)[0] == 0
    space.write_text("GRID = {'lr': [90.0, 0.1], 'epochs': [30]}\n")
    status, text, _ = run_wide(*args)
    assert "1 of 2 trials failed in an earlier run" in text
    assert "failed in an earlier run" not in run_wide(*args, "--retry-failed")[1]
    space.write_text("GRID = {'lr': [0.1], 'epochs': [30]}\n")
    assert "Every trial of this sweep is already done" in run_wide(*args)[1]
