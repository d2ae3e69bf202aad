"""The built wheel: what it holds, and that it runs outside of a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from paths import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", *options, "-w", str(folder), str(ROOT)],
        check=True,
        timeout=300,
    )
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_holds_every_module_and_asset(wheel: Path) -> None:
    packages = ("orchestrator", "tasks", "search_spaces", "results")
    listed = subprocess.run(
        ["git", "ls-files", *packages], cwd=ROOT, capture_output=True, text=True, check=True
    )
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    assert set(listed.stdout.split()) <= held


def test_the_installed_wheel_runs_a_sweep(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True, timeout=300)
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "100"}

    def run(*args: str) -> str:
        done = subprocess.run(
            [sys.executable, *args],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("-c", "import orchestrator; print(orchestrator.__file__)").startswith(str(site))
    options = ("--engine", "local", "--set", "decoding=greedy", "--set", "max_length=12")
    printed = run("-m", "orchestrator", "sweep", "captioning", *options, "--name", "wheel")
    assert "runs/captioning/wheel" in printed
    assert "sweep" in run(str(site / "bin" / "orchestrator"), "--help")
