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
