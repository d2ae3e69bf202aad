"""``--gpus-per-trial auto`` on Ray: a trial's next step by itself, before slots start."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import orchestrator.ray_settings  # noqa: F401  before Ray

# isort: split
import ray

from orchestrator.deadline import patience
from orchestrator.engine import Event, Work
from orchestrator.measure import Usage
from orchestrator.ray_stages import RayStages
from orchestrator.ray_workers import measure_on_worker
from tasks.contract import Stage, Trial

TRIES = 3  # trials that may fail before none is measured
POLL_SECONDS = 0.1


def measure(work: Work, stages: RayStages, cpus: int, gpus: float) -> Usage | None:
    """What a trial uses; None if that cannot be told: slots will find out why."""
    for _ in range(TRIES):
        trial = work.trial_to_measure()
        refs = None if trial is None else _wait_for_stages(work, stages, trial)
        if trial is None or refs is None:
            return None
        told = measure_on_worker.options(num_cpus=cpus, num_gpus=gpus).remote(
            trial, work.checkpoints, cpus, work.deadline, list(refs), *refs.values()
        )
        found = _wait_for(told, work)
        if found is None:
            return None
        events, usage = found
        work.measured(trial, events, usage)
        if usage is not None:
            return usage
    return None


def _wait_for_stages(work: Work, stages: RayStages, trial: Trial) -> dict[Stage, Any] | None:
    needed = work.task.stages(trial)
    for stage in needed:
        stages.want(stage)
    while not work.should_halt():
        stages.poll(POLL_SECONDS)
        if stages.failed(needed) is not None:
            return None
        refs = stages.refs(needed)
        if refs is not None:
            return refs
    return None


def _wait_for(told: Any, work: Work) -> tuple[Sequence[Event], Usage | None] | None:
    """A step that was begun is waited for, also when told to halt: it ends with a checkpoint."""
    began = time.monotonic()
    while not ray.wait([told], timeout=POLL_SECONDS)[0]:
        if work.deadline and time.monotonic() - began > patience(work.deadline):
            ray.cancel(told, force=True)
            return None
    try:
        found: tuple[Sequence[Event], Usage | None] = ray.get(told)
    except Exception:
        return None
    return found
