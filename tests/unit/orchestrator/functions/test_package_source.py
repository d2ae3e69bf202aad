"""The identity of the source of a task that another package declares."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

import pytest
from toy_sweep.task import TASK

from orchestrator.functions.package_source import package_identity
from orchestrator.planning.discovery import load_task
from tasks.contract import Task


def test_code_of_the_package_counts_and_comments_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "digits_of_a_user"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "data.py").write_text("NOISE = 0.1\n")
    (package / "task.py").write_text("from digits_of_a_user.data import NOISE\nclass T: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    task = cast(Task, importlib.import_module("digits_of_a_user.task").T())
    first = package_identity(task)
    assert first is not None
    (package / "data.py").write_text("# The noise.\nNOISE = 0.1\n")
    assert package_identity(task) == first
    (package / "data.py").write_text("NOISE = 0.2\n")
    assert package_identity(task) != first
    (package / "data.py").write_text("NOISE =\n")
    assert package_identity(task) is None  # importing it reports the error


def test_only_tasks_of_other_packages_have_an_identity() -> None:
    assert package_identity(load_task("retrieval")) is None
    assert package_identity(TASK) is not None
