"""Sweeps of the toy task, run in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.request import Request
from orchestrator.running.plan import make_plan
from orchestrator.running.sweep import run_sweep
from results.storage.reading import Sweep, read_sweep


def run_toy(folder: Path, space: str = "", **options: Any) -> Sweep:
    """Run a sweep named ``s`` with results in ``folder / "out"``; every trial must finish.

    Args:
        folder: for the space file and the results.
        space: the text of the space file; by default the toy's own report is run.
        options: of the ``Request``.
    """
    if space:
        (folder / "space.py").write_text(space)
        options["space"] = str(folder / "space.py")
    request = Request(task="toy", engine="local", out=str(folder / "out"), name="s", **options)
    assert run_sweep(make_plan(request)) == 0
    return read_sweep(str(folder / "out"), "toy", "s")
