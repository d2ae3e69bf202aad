"""Sweeps that repeat trials: under another name, with more seeds, as a search, with --keep."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import command

from results.storage.reading import read_sweep
from results.storage.weights import weights_of
from results.tables.overview import overview

Toy = Callable[..., str]


@pytest.fixture
def sweep_toy(tmp_path: Path) -> Toy:
    """``sweep toy`` with a space file of this text, in this process."""

    def run(*options: str, space: str, status: int = 0) -> str:
        (tmp_path / "space.py").write_text(space)
        where = (f"--space={tmp_path / 'space.py'}", f"--out={tmp_path}")
        return command("sweep", "toy", "--engine=local", *where, *options, status=status)

    return run


def test_sweep_copied_by_another_is_not_its_own_origin(tmp_path: Path, sweep_toy: Toy) -> None:
    grid = "GRID = {'degree': [1, 3], 'epochs': [1]}\n"
    sweep_toy("--name=first", space=grid)
    sweep_toy("--name=again", space=grid)  # sorts before first
    sweep_toy("--name=first", "--seeds=2", space=grid)
    assert "reused" not in command("show", "first", f"--out={tmp_path}")
    origins = {
        name: {row["reused_from"] for row in read_sweep(str(tmp_path), "toy", name).rows()}
        for name in ("first", "again")
    }
    assert origins == {"first": {None}, "again": {"toy/first"}}


def test_trials_name_the_process_that_ran_them(tmp_path: Path, sweep_toy: Toy) -> None:
    sweep_toy("--name=s", space="GRID = {'degree': [1, 3], 'epochs': [2]}\n")
    workers = {row["worker"] for row in read_sweep(str(tmp_path), "toy", "s").rows()}
    (worker,) = workers  # the local engine has one
    host, _, pid = worker.rpartition(":")
    assert host == socket.gethostname()
    assert int(pid) > 0


def test_show_prints_the_first_start_and_total_time(tmp_path: Path, sweep_toy: Toy) -> None:
    grid = "GRID = {'degree': [1, 3], 'epochs': [1]}\n"
    sweep_toy("--name=s", space=grid)
    one = read_sweep(str(tmp_path), "toy", "s").manifest
    assert "last run" not in command("show", "s", f"--out={tmp_path}")
    sweep_toy("--name=s", "--seeds=2", space=grid)
    two = read_sweep(str(tmp_path), "toy", "s").manifest
    assert (two.first_started, two.earlier_seconds, two.num_runs) == (one.started, one.seconds, 2)
    shown = command("show", "s", f"--out={tmp_path}")
    assert f"{one.started[:19].replace('T', ' ')} UTC, 2 runs, " in shown
    assert f"last run {two.started[:19].replace('T', ' ')} UTC, " in shown
    sweep_toy("--name=s", "--seeds=2", space=grid)  # nothing to do, so it does not count as a run
    three = read_sweep(str(tmp_path), "toy", "s").manifest
    assert (three.started, three.num_runs) == (two.started, 2)


SEARCH = """
def search(trial):
    degree = trial.suggest_categorical("degree", [0, 1, 3, 5])
    if degree == 0:
        raise ValueError("too flat")
    return {"degree": degree, "lr": trial.suggest_float("lr", 1e-3, 1, log=True), "epochs": 4}
"""


@pytest.mark.parametrize("pruner", ["halving", "none"])
def test_search_is_complete_without_seeds_of_pruned_configurations(
    tmp_path: Path, sweep_toy: Toy, pruner: str
) -> None:
    options = ("--name=found", "--trials=12", "--seeds=2", f"--pruner={pruner}")
    sweep_toy(*options, space=SEARCH, status=1)  # refused configurations are failed trials

    def shown() -> tuple[str, str]:
        found = overview(str(tmp_path), "toy", "found")
        return found.state, found.trials

    rows = read_sweep(str(tmp_path), "toy", "found").rows()
    failed = sum(row["status"] == "failed" for row in rows)
    assert 0 < failed < 12
    if pruner == "halving":
        assert any(row["status"] == "stopped" for row in rows)
    assert shown() == (f"{failed} failed", f"{len(rows) - failed}/{len(rows)}")
    sweep_toy(*options, space=SEARCH, status=1)
    assert shown() == (f"{failed} failed", f"{len(rows) - failed}/{len(rows)}")


def test_refused_configuration_has_no_default_parameters(tmp_path: Path, sweep_toy: Toy) -> None:
    sweep_toy("--name=found", "--trials=12", "--pruner=none", space=SEARCH, status=1)
    rows = read_sweep(str(tmp_path), "toy", "found").rows()
    refused = [row for row in rows if row["status"] == "failed"]
    assert {row["param.degree"] for row in refused} == {0}
    assert {row["param.epochs"] for row in refused} == {None}  # 4 where it is set, 20 by default
    assert {row["param.lr"] for row in refused} == {None}
    output = command("report", "found", f"--out={tmp_path}", "--all")
    assert "too flat" in output
    for name in ("show", "report"):
        assert "too flat" in command(name, "found", f"--out={tmp_path}") or name == "show"


def test_a_search_of_repeated_configurations_is_complete(tmp_path: Path, sweep_toy: Toy) -> None:
    few = "def search(trial):\n    degree = trial.suggest_int('degree', 1, 3)\n"
    few += "    return {'degree': degree, 'epochs': 1}\n"
    sweep_toy("--name=few", "--trials=6", "--seeds=2", "--pruner=none", space=few)
    found = overview(str(tmp_path), "toy", "few")
    assert found.state == "complete"
    assert found.trials in ("2/2", "4/4", "6/6")


def test_among_equal_rows_the_same_one_is_always_kept(tmp_path: Path, sweep_toy: Toy) -> None:
    # The learning rate is so small that every trial keeps its initial score.
    grid = "GRID = {'momentum': [0.0, 0.1, 0.2, 0.3], 'lr': [1e-300], 'epochs': [1]}\n"
    sweep_toy("--keep=none", "--seeds=2", space=grid)
    sweep = read_sweep(str(tmp_path), "toy", "space")
    assert len({row["metric.error"] for row in sweep.rows() if row["seed"] == 0}) == 1
    ended = {row["trial_id"]: row["ended"] for row in sweep.rows()}
    output = sweep_toy("--keep=best", "--seeds=2", space=grid)
    assert num_run_since(tmp_path, ended) == 2
    kept = kept_momenta(tmp_path)
    assert len(kept) == 1
    for _ in range(2):
        assert "no weights" not in output
        assert kept_momenta(tmp_path) == kept
        output = sweep_toy("--keep=best", "--seeds=2", space=grid)
        assert num_run_since(tmp_path, ended) == 2
    command("export", "space", str(tmp_path / "model"), f"--out={tmp_path}")


def num_run_since(folder: Path, ended: dict[str, object]) -> int:
    rows = read_sweep(str(folder), "toy", "space").rows()
    return sum(row["ended"] != ended[row["trial_id"]] for row in rows)


def kept_momenta(folder: Path) -> set[float]:
    sweep = read_sweep(str(folder), "toy", "space")
    found = weights_of(sweep, sweep.rows())
    return {row["param.momentum"] for row in sweep.rows() if row["trial_id"] in found}
