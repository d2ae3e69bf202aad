"""Files in the working directory that have the name of a package."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from paths import ROOT

from orchestrator.planning import shadowing

STRAY = "raise SystemExit('the stray file was imported')\n"
#: What pip writes for an entry point. A script does not import from the current directory.
SCRIPT = "import sys\nfrom {module} import {name}\nsys.exit({name}())\n"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The installed command, made from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, name = project["scripts"]["orchestrator"].partition(":")
    folder = tmp_path / "bin"
    folder.mkdir()
    path = folder / "orchestrator"
    path.write_text(SCRIPT.format(module=module, name=name))
    return path


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "experiments"
    folder.mkdir()
    return folder


def stray(folder: Path, name: str) -> Path:
    """A module NAME.py, or a package NAME/."""
    path = folder / name.rstrip("/")
    if name.endswith("/"):
        path.mkdir()
        (path / "__init__.py").write_text(STRAY)
    else:
        path.write_text(STRAY)
    return path


def run(here: Path, *words: str, path: str = str(ROOT)) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=here,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200", "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.parametrize("name", ["tasks.py", "results/", "search_spaces.py", "ray.py", "rich/"])
def test_python_m_names_the_shadowing_file(here: Path, name: str) -> None:
    found = stray(here, name)
    done = run(here, "-m", "orchestrator", "tasks")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"error: {found} hides the ")
    package = found.stem
    ours = (
        str(ROOT / package)
        if package in shadowing.PROJECT_PACKAGES
        else f"installed package {package}"
    )
    assert ours in done.stderr
    assert "rename it, or run the `orchestrator` command" in done.stderr


def test_folders_without_code_are_ignored(here: Path) -> None:
    for name in ("results", "tasks", "orchestrator"):  # of results, not of code
        (here / name).mkdir()
    assert run(here, "-m", "orchestrator", "sweep", "toy", "--dry-run").returncode == 0


def test_installed_command_ignores_the_current_directory(here: Path, script: Path) -> None:
    for name in ("tasks.py", "results/", "search_spaces.py", "orchestrator/", "ray.py"):
        stray(here, name)
    done = run(here, str(script), "tasks")
    assert done.returncode == 0, done.stderr
    assert "toy  " in done.stdout


def test_installed_command_names_a_shadowing_folder_of_pythonpath(here: Path, script: Path) -> None:
    found = stray(here, "tasks.py")
    for path, advice in (
        (f"{os.pathsep}{ROOT}", "remove the current directory from PYTHONPATH"),
        (f"{here}{os.pathsep}{ROOT}", "remove the current directory from PYTHONPATH"),
    ):
        done = run(here, str(script), "tasks", path=path)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"error: {found} hides the package {ROOT / 'tasks'}" in done.stderr
        assert advice in done.stderr
    elsewhere = run(here.parent, str(script), "tasks", path=f"{here}{os.pathsep}{ROOT}")
    assert f"because {here} comes first on Python's path" in elsewhere.stderr
    assert "remove that folder from PYTHONPATH" in elsewhere.stderr


def test_ray_workers_ignore_the_current_directory(here: Path, script: Path) -> None:
    """By default Ray puts the directory of the driver first on the import path of its workers."""
    for name in ("tasks.py", "results/", "orchestrator/"):
        stray(here, name)
    space = here / "s.py"
    space.write_text("GRID = {'degree': [1, 2], 'epochs': [2]}\n")
    done = run(here, str(script), "sweep", "toy", "--space", "s.py", "--out", "out")
    assert done.returncode == 0, done.stderr[-2000:]
    assert (here / "out" / "toy" / "s" / "sweep.json").is_file()


def test_ray_workers_use_the_import_path_of_the_driver(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.engines.ray.paths import WithoutCurrentDirectory, job_config

    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", [str(ROOT)])
    assert isinstance(job_config(), WithoutCurrentDirectory)
    for entry in ("", str(here)):  # as with python -c and with python -m
        monkeypatch.setattr(sys, "path", [entry, str(ROOT)])
        assert not isinstance(job_config(), WithoutCurrentDirectory)
