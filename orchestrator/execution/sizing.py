"""Measures the memory of a trial before workers start (``--gpus-per-trial auto``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.execution.coordinator import Coordinator
from orchestrator.execution.events import Event
from orchestrator.execution.measure import Usage
from orchestrator.execution.placement import (
    Node,
    Placement,
    main_memory,
    place_measured_workers,
)
from orchestrator.execution.stage_queue import StageQueue
from results.text import plural
from tasks.contract import Stage, Trial

MAX_ATTEMPTS = 3  # trials to try before giving up
POLL_SECONDS = 0.1

StageValues = Mapping[Stage, Any]
Measurement = tuple[Sequence[Event], Usage | None]  # a step's events and its memory usage
#: Runs a trial's next step with nothing else in the process; returns None if that failed.
MeasureTrial = Callable[[Trial, StageValues], Measurement | None]


def measure_first_trial(
    coordinator: Coordinator, stages: StageQueue, measure: MeasureTrial
) -> Usage | None:
    """Run the first step of a trial and return its memory usage, None if that failed."""
    for _ in range(MAX_ATTEMPTS):
        trial = coordinator.trial_to_measure()
        values = None if trial is None else _wait_for_stages(coordinator, stages, trial)
        if trial is None or values is None:
            return None
        _hold(coordinator, stages)
        if not coordinator.is_to_measure(trial):
            continue
        if coordinator.should_halt():
            return None
        measurement = measure(trial, values)
        if measurement is None:
            return None
        events, usage = measurement
        coordinator.on_measured(trial, events, usage)
        if usage is not None:
            return usage
    return None


def _wait_for_stages(
    coordinator: Coordinator, stages: StageQueue, trial: Trial
) -> StageValues | None:
    needed = coordinator.task.stages(trial)
    for stage in needed:
        stages.request(stage)
    while not coordinator.should_halt():
        _hold(coordinator, stages)
        if coordinator.should_halt():
            return None
        stages.poll(POLL_SECONDS)
        values = stages.values(needed)
        if values is not None or stages.failed(needed) is not None:
            return values
    return None


def _hold(coordinator: Coordinator, stages: StageQueue) -> None:
    """Wait while the sweep is paused."""
    coordinator.cancel_trials()
    while coordinator.is_paused():
        stages.is_paused = True
        stages.poll()
        if not stages.num_running():
            coordinator.confirm_pause()
        coordinator.steering.wait(POLL_SECONDS)
        coordinator.cancel_trials()
    stages.is_paused = False


def resize(
    coordinator: Coordinator,
    nodes: Sequence[Node],
    placement: Placement,
    usage: Usage,
    *,
    max_packs: int | None,
    cpus_per_trial: int | None,
) -> Placement:
    """Place as many workers as the measured memory allows, and resize the coordinator's packs."""
    placement = place_measured_workers(
        nodes,
        placement,
        peak=usage.peak,
        capacity=usage.capacity,
        max_packs=max_packs,
        min_num_packs=coordinator.min_num_packs,
        cpus_per_trial=cpus_per_trial,
    )
    gpus, num_workers = placement.gpus, placement.num_workers
    worker_memory = int(usage.capacity * gpus) if gpus else main_memory(nodes, num_workers)
    coordinator.resize(num_workers, worker_memory, describe(placement, usage))
    return placement


def describe(placement: Placement, usage: Usage) -> str:
    """Return a line about the measurement and the resulting number of workers."""
    resources = plural(placement.cpus, "CPU")
    resources += f" and {placement.gpus:.3g} GPU" if placement.gpus else ""
    peak = f"peak memory {usage.peak / 1e9:.1f} of {usage.capacity / 1e9:.1f} GB per trial"
    return f"{peak}: using {plural(placement.num_workers, 'worker')} with {resources} each"
