"""Variants of the toy task, for tests of what a task may get wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from toy_sweep.task import ToyTask

from orchestrator.planning.plan import TrialFactory
from tasks.contract import (
    State,
    Step,
)


def variant(**changes: Any) -> Any:
    """The toy task with other attributes and methods."""
    return type("ToyTask", (ToyTask,), {"__doc__": ToyTask.__doc__, **changes})()


def stepping(change: Callable[[Any, State, Step], Any]) -> Any:
    """The toy task whose steps are changed."""

    def advance(self: Any, pack: Sequence[Any], inputs: Any, device: str) -> Any:
        results = ToyTask.advance(self, pack, inputs, device)
        return [
            change(member, *result) if isinstance(result, tuple) else result
            for member, result in zip(pack, results, strict=True)
        ]

    return variant(advance=advance)


def draw(*, split: str) -> dict[str, Any]:
    return {"x": np.random.default_rng().normal(size=3)}


def make_factory(task: Any) -> TrialFactory:
    model, data = ToyTask().resolve("polynomial", "sine")
    return TrialFactory(task=task, model=model, data=data, fixed={})
