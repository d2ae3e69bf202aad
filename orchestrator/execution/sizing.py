"""``--gpus-per-trial auto``: how much memory a trial uses, found before workers start. No Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.execution.coordinator import Coordinator
from orchestrator.execution.events import Event
from orchestrator.execution.measure import Usage
from orchestrator.execution.placement import Placement
from orchestrator.execution.stage_queue import Stages
from tasks.contract import Stage, Trial

TRIES = 3  # trials that may fail before none is measured
POLL_SECONDS = 0.1

Values = Mapping[Stage, Any]
Measured = tuple[Sequence[Event], Usage | None]  # a step's events and what it used
RunAlone = Callable[[Trial, Values], Measured | None]  # one step by itself; None if that failed


def measure_first(coordinator: Coordinator, stages: Stages, run_alone: RunAlone) -> Usage | None:
    """What a trial uses; None if it could not be measured."""
    for _ in range(TRIES):
        trial = coordinator.trial_to_measure()
        values = None if trial is None else _wait_for_stages(coordinator, stages, trial)
        if trial is None or values is None:
            return None
        found = run_alone(trial, values)
        if found is None:
            return None
        events, usage = found
        coordinator.measured(trial, events, usage)
        if usage is not None:
            return usage
    return None


def _wait_for_stages(coordinator: Coordinator, stages: Stages, trial: Trial) -> Values | None:
    needed = coordinator.task.stages(trial)
    for stage in needed:
        stages.want(stage)
    while not coordinator.should_halt():
        stages.poll(POLL_SECONDS)
        values = stages.values(needed)
        if values is not None or stages.failed(needed) is not None:
            return values
    return None


def describe(placement: Placement, usage: Usage) -> str:
    """One line on the number of workers, and the measurement behind it."""
    each = f"{placement.cpus} CPU{'s' if placement.cpus > 1 else ''}"
    each += f" and {placement.gpus:.3g} GPU" if placement.gpus else ""
    workers = f"{placement.num_slots} slot{'s' if placement.num_slots > 1 else ''}"
    filled = f"a trial fills {usage.peak / 1e9:.1f} of {usage.capacity / 1e9:.1f} GB"
    return f"{filled}: {workers} of {each}"
