"""The contract of every discovered task."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from captioned_folder import draw_folder
from masked_folders import draw_masked_folder

from orchestrator.contract_suite import CHECKS, Check, Subject, run_check
from orchestrator.planning import discovery
from orchestrator.planning.plan import plan_rows
from orchestrator.planning.spaces import resolve_space

if "toy" not in discovery.task_names():
    raise RuntimeError("install the example first: pip install --no-deps -e examples/toy")


@pytest.fixture(scope="module", params=discovery.task_names())
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    task = discovery.load_task(request.param)
    data = task.default_data
    if data == "scenes":
        draw = draw_masked_folder if task.name == "segmentation" else draw_folder
        data = f"folder:{draw(tmp_path_factory.mktemp('scenes'), train=32, val=48)}"
    return Subject(task, task.name, data=data, tolerance=task.tolerance)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_task_keeps_the_contract(subject: Subject, check: Check) -> None:
    outcome = run_check(check, subject)
    assert outcome.verdict == "passed", outcome.message
    if check.name in ("spaces", "packed", "fails_alone", "num_steps", "within_step"):
        assert not outcome.message, "the check was skipped"


def test_spaces_have_several_trials(subject: Subject) -> None:
    task = subject.task
    loose = dataclasses.replace(subject.factory, fixed={})
    for offered, kind in (("REPORT", None), ("GRID", "grid")):
        if offered in discovery.defined_spaces(task.name):
            planned: list[Any] = [
                row
                for table in plan_rows(resolve_space(task.name, kind), loose, [0, 1])
                for row in table
            ]
            assert len({trial.id for row in planned for trial in row.trials}) >= 2
            if offered == "REPORT" and task.name != "segmentation":  # a baseline of our own
                assert any(row.row.report for row in planned)
