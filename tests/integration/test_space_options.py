"""Spaces from options and YAML, and stored requests, as commands on the toy task."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness import run_command

from results.storage.reading import read_sweep

LOCAL = ("--engine", "local")


def params(out: Path, name: str, *names: str) -> set[tuple[object, ...]]:
    rows = read_sweep(str(out), "toy", name).rows()
    return {tuple(row[f"param.{each}"] for each in names) for row in rows}


def test_lists_are_a_grid_that_runs_and_resumes(tmp_path: Path) -> None:
    options = ("sweep", "toy", *LOCAL, "--out", str(tmp_path), "--set", "degree=1,3")
    done = run_command(*options, "--set", "lr=0.01,0.1")
    assert done.returncode == 0, done.stderr
    grid = {(1, 0.01), (1, 0.1), (3, 0.01), (3, 0.1)}
    assert params(tmp_path, "grid-degree-lr", "degree", "lr") == grid
    again = run_command(*options, "--set", "lr=0.01,0.1")
    assert "Every trial of this sweep is already done" in again.stdout

    zipped = run_command(*options, "--set", "lr=0.01,0.1", "--zip", "degree,lr", "--name", "z")
    assert zipped.returncode == 0, zipped.stderr
    assert params(tmp_path, "z", "degree", "lr") == {(1, 0.01), (3, 0.1)}


def test_a_range_is_a_search(tmp_path: Path) -> None:
    options = ("sweep", "toy", *LOCAL, "--out", str(tmp_path), "--trials", "4")
    done = run_command(*options, "--set", "lr=0.01..0.1:log", "--set", "degree=1,3")
    assert done.returncode == 0, done.stderr
    found = params(tmp_path, "search-lr-degree", "lr", "degree")
    assert len(found) == 4
    assert all(0.01 <= lr <= 0.1 and degree in (1, 3) for lr, degree in found)  # type: ignore[operator]


def test_a_yaml_file_names_its_task_and_a_stored_request_runs_again(tmp_path: Path) -> None:
    file = tmp_path / "few.yaml"
    file.write_text(
        "program: toy\nmetric: {name: error, goal: minimize}\n"
        "parameters: {degree: {values: [1, 3]}, lr: {value: 0.1}}\nseeds: 2\n"
    )
    out = tmp_path / "out"
    done = run_command("sweep", "--space", str(file), *LOCAL, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert len(read_sweep(str(out), "toy", "few").rows()) == 4

    stored = out / "toy" / "few" / "sweep.json"
    file.unlink()
    other = tmp_path / "other"
    missing = run_command("sweep", "--from", str(stored), "--out", str(other))
    assert missing.returncode == 2
    assert "few.yaml" in missing.stderr


@pytest.mark.parametrize("setting", ["degree=1,3", "degree=1..3"])
def test_a_stored_space_of_options_needs_no_file(setting: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    options = ("--set", setting, "--trials", "2") if ".." in setting else ("--set", setting)
    done = run_command("sweep", "toy", *options, *LOCAL, "--out", str(first), "--name", "s")
    assert done.returncode == 0, done.stderr
    stored = first / "toy" / "s" / "sweep.json"
    again = run_command("sweep", "--from", str(stored), "--out", str(second))
    assert again.returncode == 0, again.stderr
    assert params(second, "s", "degree") == params(first, "s", "degree")
    assert json.loads(stored.read_text())["engine"] == "local"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("toy", "--set", "degree=1,3", "--space", "grid"), "is a space by itself"),
        (("toy", "--set", "degree=1,1"), "the list of degree has 1 twice"),
        (("toy", "--set", "degree=1 3"), "separate values with commas"),
        (("toy", "--set", "degree=3..1"), "`low < high` must hold"),
        (("toy", "--zip", "degree,lr"), "degree has no list of values"),
        (("toy", "--set", "degree=1..3", "--set", "lr=0.1,0.2", "--zip", "degree,lr"), "no list"),
        ((), "name a task to sweep"),
        (("--from", "missing.json"), "cannot read missing.json"),
        (("toy", "--from", "sweep.json"), "names its task; remove toy"),
        (("toy", "--space", "missing.yaml"), "cannot read missing.yaml"),
    ],
)
def test_mistakes_cost_one_line(options: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = run_command("sweep", *options, "--engine", "local", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_several_metrics_have_a_front(tmp_path: Path) -> None:
    (tmp_path / "both.py").write_text(
        'def fit(x: float = 0.0, *, seed: int):\n    yield {"low": x, "high": 1 - x + seed}\n'
    )
    out = ("--out", str(tmp_path / "out"), "--set", "x=0..1", "--trials", "4")
    metrics = ("--metric", "low:maximize", "--metric", "high:maximize", "--sampler", "nsga2")
    words = ("sweep", f"{tmp_path / 'both.py'}:fit", *LOCAL, *out, *metrics)
    planned = run_command(*words, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "NSGA-II (--sampler nsga2) for low (maximized) and high (maximized)" in planned.stdout
    done = run_command(*words)
    assert done.returncode == 0, done.stderr
    assert "fit: search-x-low-high-nsga2, 4 configurations, Pareto front first" in done.stdout
    assert done.stdout.count("◆") == 5  # each row, and the line that explains it
    again = run_command("report", "fit/search-x-low-high-nsga2", *out[:2])
    assert again.stdout.count("◆") == 5


def test_a_search_learns_from_a_grid(tmp_path: Path) -> None:
    out = ("sweep", "toy", *LOCAL, "--out", str(tmp_path), "--set", "epochs=2")
    grid = run_command(*out, "--set", "lr=0.01,0.1,0.5", "--name", "coarse")
    assert grid.returncode == 0, grid.stderr
    options = (*out, "--set", "lr=0.01..0.2:log", "--trials", "2", "--learn-from", "coarse")
    line = (
        "The sampler learns from 2 configurations of toy/coarse; 1 other configuration does not "
        "fit the space (outside: lr 1)."
    )
    assert line in run_command(*options, "--dry-run").stdout
    done = run_command(*options)
    assert done.returncode == 0, done.stderr
    assert line in done.stdout
    assert "The sampler learned from 2 configurations of toy/coarse." in done.stdout
    assert len(read_sweep(str(tmp_path), "toy", "search-lr-from-coarse-epochs-2").rows()) == 2
    assert (
        "--learn-from coarse has no effect"
        in run_command(*out, "--set", "lr=0.01,0.1", "--learn-from", "coarse").stderr
    )


def test_seeds_of_worse_configurations_do_not_run(tmp_path: Path) -> None:
    done = run_command(
        *("sweep", "toy", *LOCAL, "--out", str(tmp_path), "--set", "epochs=2"),
        *("--set", "lr=0.001..0.3:log", "--trials", "5", "--seeds", "6", "--pruner", "wilcoxon"),
    )
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "seeds left out by a Wilcoxon test over seeds (--pruner wilcoxon)" in text
    rows = read_sweep(str(tmp_path), "toy", "search-lr-wilcoxon-epochs-2").rows()
    assert {row["status"] for row in rows} == {"finished"}
    counts = sorted(sum(r["param.lr"] == lr for r in rows) for lr in {r["param.lr"] for r in rows})
    assert counts[0] == 4
    assert counts[-1] == 6
