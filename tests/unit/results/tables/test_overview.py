"""The list of sweeps: state, progress, best value and size."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from compared_sweeps import hits, make_trial, write_sweep
from rich.console import Console

from results.render.overview_view import OverviewView
from results.storage.filesystem import open_filesystem
from results.storage.run_lock import run_lock
from results.storage.weights import WeightStore
from results.tables.overview import overview, overview_table

NOW = datetime.now(UTC)


def sweep(
    out: Path, name: str, trials: Sequence[Any], *, seconds: float = 5.0, **more: Any
) -> None:
    started = (NOW - timedelta(hours=3)).isoformat()
    write_sweep(out, name, trials, started=started, seconds=seconds, **more)


def states(out: Path, name: str, now: datetime = NOW) -> tuple[str, str, str]:
    found = overview(str(out), "toy", name, now)
    return found.state, found.trials, found.best


def test_state_of_complete_partial_failed_and_running_sweeps(tmp_path: Path) -> None:
    done = [make_trial(hits(share), lr=lr) for lr, share in ((0.1, 0.5), (0.2, 0.6))]
    sweep(tmp_path, "whole", done, num_trials=2)
    assert states(tmp_path, "whole") == ("complete", "2/2", "r1 60.00")
    sweep(tmp_path, "budget", done, num_trials=5)
    assert states(tmp_path, "budget") == ("partial", "2/5", "r1 60.00")
    sweep(tmp_path, "reused", done, num_trials=2, seconds=0.0)  # written a moment ago
    assert states(tmp_path, "reused") == ("complete", "2/2", "r1 60.00")
    sweep(tmp_path, "failing", [*done, make_trial(None, lr=0.3, status="failed")], num_trials=3)
    assert states(tmp_path, "failing") == ("1 failed", "2/3", "r1 60.00")
    cancelled = make_trial(None, lr=0.4, status="cancelled")
    sweep(tmp_path, "cut", [*done, cancelled], num_trials=3)
    assert states(tmp_path, "cut") == ("1 cancelled", "2/3", "r1 60.00")
    sweep(tmp_path, "cut-early", [*done, cancelled], num_trials=4)
    assert states(tmp_path, "cut-early") == ("partial", "2/4", "r1 60.00")
    sweep(tmp_path, "now", done, num_trials=5, seconds=0.0)
    assert states(tmp_path, "now") == ("running?", "2/5", "r1 60.00")
    later = datetime.now(UTC) + timedelta(hours=2)
    assert states(tmp_path, "now", later)[0] == "interrupted"
    sweep(tmp_path, "fresh", [], num_trials=5, seconds=0.0)
    assert states(tmp_path, "fresh") == ("running?", "0/5", "-")


def test_best_is_the_mean_over_seeds_in_the_direction_of_the_metric(tmp_path: Path) -> None:
    trials = [
        make_trial(hits(share), lr=lr, seed=seed)
        for lr, seed, share in ((0.1, 0, 0.9), (0.1, 1, 0.1), (0.2, 0, 0.6), (0.2, 1, 0.6))
    ]
    sweep(tmp_path, "s", trials, num_trials=4)
    assert states(tmp_path, "s")[2] == "r1 60.00"
    error = {"name": "r1", "label": "error", "direction": "minimize"}
    sweep(tmp_path, "e", trials, num_trials=4, metric=error)
    assert states(tmp_path, "e")[2] == "r1 50.00"


def test_sweep_without_num_trials_counts_its_rows(tmp_path: Path) -> None:
    rows = [{"params": {"lr": lr}, "report": {}} for lr in (0.1, 0.2, 0.2)]
    table = {"title": "t", "note": "", "rows": rows}
    sweep(tmp_path, "old", [make_trial(hits(0.5))], tables=[table])
    assert states(tmp_path, "old")[:2] == ("partial", "1/2")
    sweep(tmp_path, "grid", [make_trial(hits(0.5))])
    assert states(tmp_path, "grid")[:2] == ("complete", "1")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_list_prints_one_line_per_sweep_at_any_width(tmp_path: Path, width: int) -> None:
    sources: dict[str, Any] = {"model": {"name": "/long/path/blip-scenes", "fingerprint": "m"}}
    for name in ("paper", "search"):
        sweep(tmp_path, name, [make_trial(hits(0.5))], num_trials=12, **sources)
    (tmp_path / "toy" / "bad").mkdir()
    (tmp_path / "toy" / "bad" / "sweep.json").write_text("{")
    found = [overview(str(tmp_path), "toy", name, NOW) for name in ("bad", "paper", "search")]
    console = Console(width=width, record=True, file=io.StringIO(), color_system=None)
    console.print(OverviewView(overview_table(found, NOW)))
    out = console.export_text()
    assert max(len(line.rstrip()) for line in out.splitlines()) <= width
    (line,) = (line for line in out.splitlines() if "toy/paper" in line)
    for part in ("partial", "1/12", " 50.00", " kB"):
        assert part in line
    assert ("r1 50.00" in line) == (width >= 80)
    assert ("blip-scenes, d" in line) == (width >= 80)
    assert "toy/bad" in out
    assert "damaged" in out


def test_narrow_list_keeps_the_best_value_beside_long_names(tmp_path: Path) -> None:
    name = "search-random-a-model-of-a-long-name-learning_rate-0.001"
    sources: dict[str, Any] = {"model": {"name": "/long/path/blip-scenes", "fingerprint": "m"}}
    sweep(tmp_path, name, [make_trial(hits(0.5))], num_trials=12, **sources)
    console = Console(width=80, record=True, file=io.StringIO(), color_system=None)
    console.print(OverviewView(overview_table([overview(str(tmp_path), "toy", name, NOW)], NOW)))
    heading, line, *_, below = console.export_text().splitlines()
    assert heading.split() == ["sweep", "state", "trials", "best"]
    assert line.split() == [f"toy/{name}"[: len(line.split()[0])], "partial", "1/12", "50.00"]
    hidden = "A wider terminal also shows the metric's name, model, data, started, size."
    assert " ".join(below.split()) == hidden


def test_size_includes_weights(tmp_path: Path) -> None:
    sweep(tmp_path, "s", [make_trial(hits(0.5))])
    before = overview(str(tmp_path), "toy", "s", NOW).size
    files = [path for path in (tmp_path / "toy" / "s").rglob("*") if path.is_file()]
    assert before == sum(path.stat().st_size for path in files)
    WeightStore(str(tmp_path), "toy", "s").write("a" * 16, bytes(12345))
    assert overview(str(tmp_path), "toy", "s", NOW).size == before + 12345


def test_lock_decides_whether_a_sweep_is_running(tmp_path: Path) -> None:
    sweep(tmp_path, "s", [make_trial(hits(0.5))], num_trials=5, seconds=0.0)
    assert states(tmp_path, "s")[0] == "running?"
    filesystem, path = open_filesystem(str(tmp_path / "toy" / "s"))
    with run_lock(filesystem, path), run_lock(filesystem, path):  # two runs at once
        assert states(tmp_path, "s")[0] == "running"
    assert states(tmp_path, "s")[0] == "interrupted"  # a moment after it was killed
    (tmp_path / "toy" / "s" / ".lock").write_text("another machine")
    assert states(tmp_path, "s")[0] == "running?"
