"""Functions that run in worker processes. Does not import Ray."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.cgroups import available_cpus
from orchestrator.execution.events import Event
from orchestrator.execution.measure import Usage, measure_step
from orchestrator.execution.stages import Origin, StageCache, compute
from orchestrator.hardware import pick_device
from orchestrator.saving.checkpoints import Checkpoints
from tasks.contract import Stage, Task, Trial, Value
from tasks.memory import keep_freed_memory
from tasks.progress import Receiver, Throttle, reporting


def configure_worker(threads: int) -> None:
    """Configure memory allocation and the number of threads of this worker process."""
    keep_freed_memory()
    if "torch" not in sys.modules:  # not all tasks use it, and its import takes seconds
        os.environ["OMP_NUM_THREADS"] = str(threads)  # torch reads it when it is imported
        return
    import torch

    torch.set_num_threads(threads)


def limit_threads() -> None:
    """Let torch use no more threads than this process may use CPUs, unless the user set a number.

    Torch itself does not see the CPU quota of a control group, and runs slowly beyond it.
    """
    cpus = available_cpus()
    if "OMP_NUM_THREADS" in os.environ or cpus >= (os.cpu_count() or 1):
        return
    try:
        import torch
    except ImportError:
        return
    if torch.get_num_threads() > cpus:
        torch.set_num_threads(cpus)


def load_or_compute(
    stage: Stage,
    needs: Sequence[Value],
    threads: int,
    cache: StageCache,
    step_timeout: float | None,
    receive: Receiver,
) -> tuple[Value, Origin]:
    """Load or compute the value of a stage; ``receive`` is called with the progress."""
    cached = cache.load(stage)
    if cached is not None:
        return cached
    configure_worker(threads)
    start = time.perf_counter()
    with reporting(receive, Throttle()):
        value = compute(stage, needs, pick_device() if stage.on_device else "cpu", step_timeout)
    return value, cache.save(stage, value, time.perf_counter() - start)


def measure_alone(
    task: Task,
    trial: Trial,
    checkpoints: Checkpoints,
    threads: int,
    step_timeout: float | None,
    stages: Sequence[Stage],
    *values: Any,
) -> tuple[Sequence[Event], Usage | None]:
    """Run a trial's next step and return its memory usage.

    Must run in a new process, so that nothing else uses memory.
    """
    configure_worker(threads)
    inputs = dict(zip(stages, values, strict=True))
    return measure_step(task, trial, inputs, pick_device(), checkpoints, step_timeout)


def read_file(path: str) -> bytes | None:
    """Return the content of a file, None if this machine cannot read it."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return None
