"""Which trial is the best."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_sweeps import run_toy

from results.tables.selection import select_best
from tasks.contract import StoreError


def test_a_sweep_without_finished_trials_has_no_best(tmp_path: Path) -> None:
    sweep = run_toy(tmp_path, "GRID = {'degree': [3]}\n")
    for row in sweep.rows():
        row["status"] = "failed"
        row["reason"] = "broken"
    with pytest.raises(StoreError, match="toy/s has no finished trial yet"):
        select_best(sweep)
