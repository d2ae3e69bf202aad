"""A task whose processes add their numbers up; one of them fails at the second step."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tasks.contract import Advanced, Column, Inputs, Metric, State, Step, Task, Trial
from tasks.process_group import current


@dataclass(frozen=True, kw_only=True)
class Params:
    """No parameters."""


class AddingTask(Task):
    """Each process adds its number, from 1."""

    name = "adding"
    Params = Params
    metric = Metric(name="total", label="total", direction="maximize")
    columns = (Column(key="metric.total", label="total", format="number"),)

    def check_gpus(self, trial: Trial, num_gpus: int) -> None:
        """Any number will do."""

    def step(self, trial: Trial, state: State, inputs: Inputs, device: str) -> Advanced:
        """Add the numbers of all processes up."""
        at, group = state.values.get("step", 0) + 1, current()
        if at == 2 and group.rank == 1:
            raise ValueError("process 1 is broken on purpose")
        (total,) = group.add_up([torch.tensor([1.0 + group.rank])])
        return State(values={"step": at}), Step(at=at, metrics={"total": float(total)})
