"""Interrupts of the stages of every task."""

from __future__ import annotations

import pytest

from orchestrator.execution.stages import compute
from orchestrator.planning.discovery import load_task
from orchestrator.planning.plan import TrialFactory
from tasks.interrupt import Interrupted, interruptible


@pytest.mark.parametrize("name", ["retrieval", "captioning", "diffusion"])
def test_stages_of_every_task_stop_at_an_interrupt(name: str) -> None:
    task = load_task(name)
    model, data = task.resolve(task.default_model, task.default_data)
    trial = TrialFactory(task=task, model=model, data=data, fixed={}).trial({}, 0)
    long = {each.function: each for each in task.stages(trial)}
    long = {f: each for f, each in long.items() if f.__name__ != "read_heads"}  # reads one file
    assert long
    for each in long.values():
        with interruptible(lambda: True), pytest.raises(Interrupted):
            compute(each, (), "cpu")
