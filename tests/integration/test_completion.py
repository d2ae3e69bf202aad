"""Shell completion, asked with the variables that bash, zsh and fish set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT
from toy_results import manifest

from results.storage.store import SweepStore

PROGRAM = """
import sys
sys.argv[0] = "orchestrator"
from orchestrator.__main__ import run
try:
    run()
finally:
    loaded = {"torch", "ray", "optuna"} & set(sys.modules)
    assert not loaded, loaded
"""


def complete(line: str, folder: Path, shell: str = "bash") -> list[str]:
    """What a shell offers for the last word of a line."""
    asked = {"_ORCHESTRATOR_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        asked |= {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    else:
        asked |= {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **asked},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert not done.stderr, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("orchestrator sw", ["sweep"]),
        ("orchestrator sweep retr", ["retrieval"]),
        ("orchestrator sweep retrieval --set learn_t", ["learn_temperature="]),
        ("orchestrator sweep retrieval --engine l", ["local"]),
        ("orchestrator sweep retrieval --sampler t", ["tpe"]),
        ("orchestrator completion z", ["zsh"]),
    ],
)
def test_bash_completes(line: str, offered: list[str], tmp_path: Path) -> None:
    assert complete(line, tmp_path) == offered


def test_names_of_sweeps_are_completed(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path / "runs"), "toy", "paper", {"lr": "float"})
    store.write_manifest(manifest())

    assert complete("orchestrator report to", tmp_path) == ["toy/paper"]
    assert complete("orchestrator show retr", tmp_path) == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_complete_parameters(shell: str, tmp_path: Path) -> None:
    offered = complete("orchestrator sweep retrieval --set le", tmp_path, shell)
    assert any("learn_temperature=" in word for word in offered)


def test_the_script_of_an_unknown_shell_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "orchestrator", "completion", "tcsh"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.strip() == "error: no completion for 'tcsh'; available: bash, zsh, fish"
