"""What a process imports: heavy packages only when they are needed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest
from paths import ROOT, STORED


def loaded_by(words: Sequence[str], heavy: set[str]) -> str:
    """Which of these packages a command imports; it must succeed."""
    code = (
        "import sys; from orchestrator.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"print(sorted({heavy!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "words",
    [
        ["report", "--out", str(STORED)],
        ["compare", "stored", f"{STORED}/toy/stored", "--out", str(STORED)],
        ["sweep", "retrieval", "--dry-run"],
    ],
    ids=lambda words: words[0],
)
def test_reports_and_plans_import_no_torch_ray_or_optuna(words: list[str]) -> None:
    assert loaded_by(words, {"torch", "transformers", "ray", "optuna"}) == "[]"


@pytest.mark.parametrize(
    "words", [[], ["--version"], ["sweep", "--help"], ["tasks"], ["tasks", "retrieval"]]
)
def test_help_imports_no_heavy_package(words: list[str]) -> None:
    heavy = {"torch", "ray", "optuna", "pyarrow", "scipy", "matplotlib"}
    assert loaded_by(words, heavy) == "[]"


def test_importing_tables_does_not_import_scipy() -> None:
    code = "import sys, orchestrator.cli, results.tables.summary; assert 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_importing_a_task_imports_no_torch() -> None:
    code = (
        "import sys, tasks.retrieval.task\n"
        "bad = {'torch', 'ray', 'optuna', 'orchestrator', 'results'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_check_runs_as_ci_runs_it() -> None:
    """As a process that needs neither the toy task nor torch."""
    code = (
        "import atexit, sys; from orchestrator.cli import main\n"
        "atexit.register(lambda: print(sorted({'torch', 'ray', 'toy_sweep'} & set(sys.modules))))\n"
        "main()"
    )
    command = [sys.executable, "-c", code, "check", "stored", "--out", str(STORED)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 reproduced, 1 undecided" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_the_python_api_takes_no_time_to_import() -> None:
    """Also with what a file of a function needs before a sweep runs."""
    code = (
        "import sys, time; began = time.perf_counter(); import orchestrator as orc\n"
        "seconds = time.perf_counter() - began\n"
        "third = {'torch', 'ray', 'optuna', 'pyarrow', 'numpy', 'rich', 'typer', 'yaml'}\n"
        "assert not third & set(sys.modules), third & set(sys.modules)\n"
        "assert seconds < 0.3, seconds\n"
        "orc.task(metric='error', maximize=False)(lambda: 0)\n"
        "assert not {'torch', 'ray', 'optuna'} & set(sys.modules)\n"
        "orc.sweep, orc.load, orc.checkpoint, orc.samples, orc.Request\n"
        "assert not {'torch', 'ray', 'optuna'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
