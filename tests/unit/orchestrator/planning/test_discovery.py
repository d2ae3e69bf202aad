"""Tasks and spaces of installed packages and space files."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import run_wide
from installed_package import Package
from paths import ROOT

from orchestrator.planning import discovery
from orchestrator.planning.spaces import KINDS

BROKEN: list[tuple[Callable[[Package], None], str]] = [
    (
        lambda p: p.edit("task.py", "def start(self", "def start(self("),
        "task.py, line 72: invalid syntax",
    ),
    (
        lambda p: p.edit("task.py", "import numpy as np", "import numpyy as np"),
        "task.py, line 11: ModuleNotFoundError: No module named 'numpyy'; install it, or fix",
    ),
    (
        lambda p: p.edit("task.py", "    TrialError,", "    TrialEror,"),
        "task.py, line 13: ImportError",
    ),
    (lambda p: p.edit("task.py", "TASK = ToyTask()", "TSK = 1"), "end the file with `TASK = Your"),
    (lambda p: p.edit("task.py", "TASK = ToyTask()", "TASK = ToyTask"), "write TASK = ToyTask()"),
    (lambda p: p.edit("task.py", "TASK = ToyTask()", "raise SystemExit"), "SystemExit"),
    (
        lambda p: p.declare("mine.tsk:TASK"),
        "names the module mine.tsk, but mine.tsk does not exist",
    ),
    (lambda p: p.edit("params.py", "frozen=True, ", ""), "params.py, line 8"),
    (
        lambda p: p.edit("task.py", "def pack_key", "def pack_keys"),
        "'pack_keys' is not a member of Task; did you mean 'pack_key'? rename it, or",
    ),
]


@pytest.mark.parametrize(("damage", "message"), BROKEN, ids=[message[:30] for _, message in BROKEN])
def test_broken_package_is_one_error_line_and_leaves_other_tasks_usable(
    package: Package,
    damage: Callable[[Package], None],
    message: str,
) -> None:
    damage(package)
    status, out, err = run_wide("sweep", "mine", "--dry-run")
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert message in err
    status, out, err = run_wide("tasks")
    assert (status, err) == (0, "")
    assert message in " ".join(out.split())
    assert "toy  Fit a polynomial" in out
    assert run_wide("check-task", "mine")[0] in (1, 2)


def test_package_installed_or_removed_meanwhile_is_noticed(package: Package) -> None:
    assert "mine" in discovery.task_names()
    shutil.rmtree(package.root / "mine-0.1.dist-info")
    assert "mine" not in discovery.task_names()
    package.declare("mine.task:TASK")
    assert "mine" in discovery.task_names()


def test_task_with_one_space_uses_it_by_default(package: Package) -> None:
    space = package.folder / "space.py"
    space.write_text("GRID = {'degree': [1, 2]}\n")
    status, out, err = run_wide("sweep", "mine", "--dry-run")
    assert (status, err) == (0, "")
    assert "mine has only one space, GRID: running --space grid" in out
    assert "2 trials" in out
    for text, message in (
        ("GRID = {'degree': [1]}\ndef search(trial): ...\n", "with --space grid or --space search"),
        ("grid = {}\n", "space.py must define REPORT, GRID or search, but defines none of them"),
        ("GRID = {", "space.py, line 1: '{' was never closed; fix the file"),
    ):
        sys.modules.pop("mine.space", None)
        space.write_text(text)
        status, out, err = run_wide("sweep", "mine", "--dry-run")
        assert (status, out) == (2, "")
        assert message in err


def test_task_without_a_space_requires_a_space_file(package: Package, tmp_path: Path) -> None:
    package.declare("mine.task:TASK")
    status, _, err = run_wide("sweep", "mine", "--dry-run")
    assert status == 2
    assert "has no search space; pass one with --space FILE.py" in err
    assert "spaces: none (" in run_wide("tasks")[1]
    (tmp_path / "s.py").write_text("GRID = {'degree': [1, 2]}\n")
    options = ("--space", str(tmp_path / "s.py"), "--dry-run")
    assert run_wide("sweep", "mine", *options)[0] == 0


@pytest.mark.parametrize("task", ["retrieval", "captioning", "diffusion", "segmentation"])
def test_copied_space_file_works_with_each_kind(task: str, tmp_path: Path) -> None:
    copied = tmp_path / "copied.py"
    copied.write_text((ROOT / "search_spaces" / f"{task}.py").read_text())
    status, out, choices = run_wide("sweep", task, "--space", str(copied), "--dry-run")
    assert (status, out) == (2, "")
    for kind in KINDS:
        assert f"--space {copied}:{kind}" in choices
        picked = ("sweep", task, "--space", f"{copied}:{kind}", "--dry-run", "--pruner", "none")
        words = picked if kind == "search" else picked[:-2]
        status, out, err = run_wide(*words)
        assert (status, err) == (0, "")
        assert "trial" in out
