"""What a worker's process does beside running packs. No Ray."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.execution.events import Event
from orchestrator.execution.measure import Usage, measure_step
from orchestrator.execution.stages import Origin, StageCache, compute
from orchestrator.hardware import pick_device
from orchestrator.planning.discovery import load_task
from orchestrator.saving.checkpoints import Checkpoints
from tasks.contract import Stage, Trial, Value
from tasks.memory import keep_freed_memory
from tasks.progress import Receiver, Throttle, reporting


def configure_worker(threads: int) -> None:
    """Set the process up before it computes."""
    keep_freed_memory()
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(threads)


def load_or_compute(
    stage: Stage,
    needs: Sequence[Value],
    threads: int,
    cache: StageCache,
    deadline: float | None,
    receive: Receiver,
) -> tuple[Value, Origin]:
    """A stage's value, read or computed; ``receive`` gets how much of it is computed."""
    found = cache.load(stage)
    if found is not None:
        return found
    configure_worker(threads)
    began = time.perf_counter()
    with reporting(receive, Throttle()):
        value = compute(stage, needs, pick_device() if stage.on_device else "cpu", deadline)
    return value, cache.save(stage, value, time.perf_counter() - began)


def measure_alone(
    trial: Trial,
    checkpoints: Checkpoints,
    threads: int,
    deadline: float | None,
    stages: Sequence[Stage],
    *values: Any,
) -> tuple[Sequence[Event], Usage | None]:
    """A trial's next step and its memory use, in a process that has computed nothing else."""
    configure_worker(threads)
    inputs = dict(zip(stages, values, strict=True))
    task, device = load_task(trial.task), pick_device()
    return measure_step(task, trial, inputs, device, checkpoints, deadline)


def read_file(path: str) -> bytes | None:
    """A file as this machine sees it; None if it does not."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return None
