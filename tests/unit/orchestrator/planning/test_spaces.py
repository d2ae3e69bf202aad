"""The spaces of a request: seeds and grids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.parsing import parse_seeds
from orchestrator.planning.spaces import expand_grid
from orchestrator.request import Request
from orchestrator.running.plan import make_plan
from tasks.contract import RequestError


@pytest.mark.parametrize(
    ("given", "seeds"), [("2", (0, 1)), ("1,2", (1, 2)), ("7,", (7,)), (" 3, 0 ", (3, 0))]
)
def test_seeds_are_a_number_or_a_list(given: str, seeds: tuple[int, ...], tmp_path: Path) -> None:
    request = Request(task="diffusion", seeds=parse_seeds(given), out=str(tmp_path))
    plan = make_plan(request)
    assert plan.seeds == seeds
    assert [trial.seed for trial in plan.trials] == list(seeds)


def test_grids_are_products_and_unions() -> None:
    assert expand_grid({"a": [1, 2], "b": [3]}, "g") == [{"a": 1, "b": 3}, {"a": 2, "b": 3}]
    assert expand_grid([{"a": [1]}, {"b": [2]}], "g") == [{"a": 1}, {"b": 2}]
    grids: tuple[Any, ...] = ({"a": []}, {"a": "xy"}, {"a": 3}, [])
    for bad in grids:
        with pytest.raises(RequestError):
            expand_grid(bad, "g")


def test_a_row_may_need_a_fixed_parameter(tmp_path: Path) -> None:
    """Guidance needs drop_condition, so a row of guidance alone would break a rule."""
    settings = ("drop_condition=0.1", "guidance=1,2")
    plan = make_plan(Request(task="diffusion", settings=settings, out=str(tmp_path)))
    assert [trial.params.guidance for trial in plan.trials] == [1, 2]
    assert all(row.changed == () for table in plan.planned for row in table)
