"""The package without its optional extras: what works, and what says how to install them."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from paths import ROOT

from results.storage.reading import read_sweep

OPTIONAL = ("ray", "optuna", "matplotlib", "plotext", "duckdb", "plotly", "starlette", "uvicorn")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the command where everything but the extras can be imported."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for folder in site.getsitepackages():
        for entry in Path(folder).iterdir():
            if entry.name.split("-")[0] not in OPTIONAL:
                (packages / entry.name).symlink_to(entry)
    path = os.pathsep.join(map(str, (ROOT, ROOT / "examples" / "toy", packages)))
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", "-m", "orchestrator", *args],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def test_grids_and_reports_need_no_extra(run: Run) -> None:
    done = run("sweep", "toy", "--engine", "local")
    assert done.returncode == 0, done.stderr
    assert "No figures: drawing needs matplotlib" in done.stdout
    assert "[plots]" in done.stdout
    report = run("report", "toy/paper", "--format", "json")
    assert report.returncode == 0, report.stderr


def test_a_curve_names_its_extra(run: Run, tmp_path: Path) -> None:
    assert run("sweep", "toy", "--engine", "local").returncode == 0
    trial = read_sweep(str(tmp_path / "runs"), "toy", "paper").rows()[0]["trial_id"]
    shown = run("show", "toy/paper", trial)
    assert shown.returncode == 0, shown.stderr
    assert "needs plotext, which is not installed: pip install" in shown.stdout
    saved = run("show", "toy/paper", trial, "--save", "curve.png")
    assert saved.returncode == 2
    assert "a figure needs matplotlib" in saved.stderr


@pytest.mark.parametrize(
    ("options", "needs", "extra"),
    [
        ((), "--engine ray needs ray", "[ray]' (or use --engine local)"),
        (("--engine", "local", "--space", "search"), "a search needs optuna", "[search]'"),
    ],
)
def test_a_missing_extra_is_refused_before_anything_runs(
    run: Run, tmp_path: Path, options: tuple[str, ...], needs: str, extra: str
) -> None:
    done = run("sweep", "toy", *options)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {needs}, which is not installed: pip install ")
    assert extra in done.stderr
    assert not (tmp_path / "runs").exists()


def test_query_names_its_extra(run: Run) -> None:
    assert run("sweep", "toy", "--engine", "local").returncode == 0
    done = run("query", "SELECT * FROM trials")
    assert done.returncode == 2
    assert "query needs duckdb, which is not installed: pip install" in done.stderr
    assert "[query]" in done.stderr


@pytest.mark.parametrize("words", [("serve",), ("page", "toy/paper", "page.html")])
def test_pages_name_their_extra(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {words[0]} needs plotly, which is not installed")
    assert "[serve]" in done.stderr
