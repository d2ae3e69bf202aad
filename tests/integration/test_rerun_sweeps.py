"""Sweeps of the toy task that run again with other settings, seeds or task versions."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from harness import run_command

from results.storage.reading import read_sweep
from results.storage.store import SweepStore
from results.tables.summary import summarize


def sweep(folder: Path, *args: str, status: int = 0) -> str:
    done = run_command("sweep", "toy", "--engine", "local", *args, cwd=folder)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_changed_setting_makes_a_new_sweep(tmp_path: Path) -> None:
    sweep(tmp_path)
    before = read_sweep(str(tmp_path / "runs"), "toy", "paper")
    out = sweep(tmp_path, "--set", "epochs=2")
    assert "The results go to toy/paper-epochs-2." in out
    assert sorted(path.name for path in (tmp_path / "runs" / "toy").iterdir()) == [
        "paper",
        "paper-epochs-2",
    ]
    after = read_sweep(str(tmp_path / "runs"), "toy", "paper")
    assert after.manifest == before.manifest
    assert after.rows() == before.rows()

    out = sweep(tmp_path, "--set", "epochs=2", "--name", "paper", status=2)
    assert "the sweep 'paper' was started without --set epochs; use another --name" in out
    assert "already done" in sweep(tmp_path, "--set", "epochs=2")

    sweep(tmp_path, "--seeds", "2")  # the same request, and more of it
    assert read_sweep(str(tmp_path / "runs"), "toy", "paper").manifest.seeds == (0, 1)
    assert "already done" in sweep(tmp_path)
    assert read_sweep(str(tmp_path / "runs"), "toy", "paper").manifest.seeds == (0, 1)


def test_trials_of_an_earlier_task_version_are_excluded(tmp_path: Path) -> None:
    sweep(tmp_path)
    store = SweepStore(str(tmp_path / "runs"), "toy", "paper", {})
    found = read_sweep(str(tmp_path / "runs"), "toy", "paper")
    rows = found.trials.to_pylist()
    store.write_manifest(dataclasses.replace(found.manifest, version="0"))
    assert not any(r.num_seeds for t in summarize(_read(tmp_path)) for r in t.rows)
    store.write_manifest(found.manifest)
    assert sum(r.num_seeds for t in summarize(_read(tmp_path)) for r in t.rows) == len(rows)


def _read(folder: Path) -> Any:
    return read_sweep(str(folder / "runs"), "toy", "paper")
