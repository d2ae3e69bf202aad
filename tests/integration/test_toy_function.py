"""The toy task as one function gives the numbers of its package form."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
from toy_function import polynomial

import orchestrator as orc


def errors(sweep: orc.Sweep) -> dict[tuple[int, int], float]:
    rows = sweep.trials.to_pylist()
    return {(row["param.degree"], row["seed"]): row["metric.error"] for row in rows}


def test_both_forms_give_the_same_numbers(tmp_path: Path) -> None:
    grid = {"degree": [1, 3, 9]}
    package, function = (
        orc.sweep(task, grid, set={"epochs": 5}, seeds=2, engine="local", out=tmp_path)
        for task in ("toy", polynomial)
    )
    assert errors(package) == errors(function)
    assert np.allclose(
        sorted(package.samples["squared_error"].to_pylist()),
        sorted(function.samples["error"].to_pylist()),
    )
    assert package.best.interval == function.best.interval


def test_it_is_short() -> None:
    lines = inspect.getsource(polynomial).splitlines()
    assert len(lines) <= 25
