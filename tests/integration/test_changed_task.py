"""Sweeps of a task whose code or version changes between runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from toy_sweep.task import TASK

from orchestrator.cli import main
from results.storage.reading import read_sweep
from results.tables.overview import overview
from results.tables.summary import summarize

TWO = "GRID = {'degree': [1, 3], 'epochs': [2]}\n"


class Toy:
    """Sweeps of the toy task."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.out, self._capfd = folder / "runs", capfd
        self._space = folder / "two.py"
        self._space.write_text(TWO)

    def sweep(self, *options: str) -> str:
        """Run the sweep; returns its output."""
        before = sys.argv
        status: str | int | None = None
        words = ["sweep", "toy", "--engine=local", f"--space={self._space}", f"--out={self.out}"]
        sys.argv = ["orchestrator", *words, *options]
        self._capfd.readouterr()
        try:
            main()
        except SystemExit as end:
            status = end.code
        finally:
            sys.argv = before
        output = " ".join("".join(self._capfd.readouterr()).split())
        assert not status, output
        return output

    def weights(self) -> set[str]:
        """Return the names of the weight files."""
        return {path.name for path in (self.out / "toy" / "two" / "weights").glob("*")}


@pytest.fixture
def toy(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Toy:
    return Toy(tmp_path, capfd)


def set_version(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(type(TASK), "version", version)


def test_list_counts_only_trials_of_the_current_version(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.sweep("--seeds=3")
    set_version(monkeypatch, "another")
    toy.sweep("--seeds=2")
    sweep = read_sweep(str(toy.out), "toy", "two")
    (table,) = summarize(sweep, None)
    assert [(row.num_seeds, row.status) for row in table.rows] == [(2, ""), (2, "")]
    found = overview(str(toy.out), "toy", "two")
    assert (found.state, found.trials) == ("complete", "4/4")
    best = min(row.metrics[table.main.key] for row in table.rows)
    assert float(found.best.split()[1]) == pytest.approx(best, abs=1e-3)


def test_weights_of_an_earlier_version_are_kept(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.sweep()
    first, version = toy.weights(), TASK.version
    assert first
    set_version(monkeypatch, "another")
    output = toy.sweep()
    assert toy.weights() > first
    assert f"The weights of {len(first)} trial" in output
    assert "of an earlier version, model or data set are still in" in output
    both = toy.weights()
    set_version(monkeypatch, version)
    assert "Every trial of this sweep is already done" in toy.sweep()
    assert toy.weights() == both


def test_a_task_that_saves_no_weights_says_nothing_about_them(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(TASK), "weights", lambda self, trial, state: {})
    assert "weights" not in toy.sweep("--seeds=2")
    assert "weights" not in toy.sweep("--seeds=3")


def test_changed_code_of_the_same_version_is_announced(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = ["a"]
    monkeypatch.setattr("orchestrator.running.plan.package_identity", lambda task: identity[0])
    notice = "The code of toy has changed since trials of this sweep ran, but its version is still"
    assert notice not in toy.sweep()
    assert notice not in toy.sweep("--seeds=2")
    identity[0] = "b"
    assert notice in toy.sweep("--dry-run")
    assert notice in toy.sweep("--seeds=3")  # a row now has seeds of both
    assert notice in toy.sweep()
    assert notice not in toy.sweep("--rerun", "--seeds=3")
    identity[0] = "c"
    set_version(monkeypatch, "another")
    assert notice not in toy.sweep()
