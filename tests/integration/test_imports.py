"""What a process imports: nothing heavy before it is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from paths import ROOT, STORED


def test_compare_loads_no_torch_and_no_ray(sweeps: Path) -> None:
    code = (
        "import sys; from orchestrator.cli import app;"
        "app(['compare', 'report', 'elsewhere/toy/long'], standalone_mode=False);"
        "assert not {'torch', 'transformers', 'ray', 'optuna'} & sys.modules.keys()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-c", code], cwd=sweeps, env=environment, check=True, timeout=60
    )


def test_tables_are_read_without_scipy_until_there_is_a_number() -> None:
    code = "import sys, orchestrator.cli, results.tables.summary; assert 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_help_versions_and_tasks_start_fast() -> None:
    code = (
        "import sys; from orchestrator.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'ray', 'optuna', 'pyarrow', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    for words in ((), ("--version",), ("sweep", "--help"), ("tasks",), ("tasks", "retrieval")):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_help_report_and_dry_run_load_no_torch_ray_or_optuna(local: Path) -> None:
    code = (
        "import sys; from orchestrator.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'ray', 'optuna'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    for args in (["--help"], ["report", "--out", str(local)], ["sweep", "retrieval", "--dry-run"]):
        command = [sys.executable, "-c", code, *args]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr


def test_a_task_loads_neither_engine_nor_torch() -> None:
    code = (
        "import sys, tasks.retrieval.task\n"
        "bad = {'torch', 'ray', 'optuna', 'orchestrator', 'results'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_check_runs_as_ci_runs_it() -> None:
    """As a process that sees neither the toy task nor torch."""
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
