"""Measures the device memory that a trial uses during one step."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.execution.events import Event
from orchestrator.execution.run_pack import run_pack
from orchestrator.hardware import device_memory
from orchestrator.saving.checkpoint_writer import CheckpointWriter
from orchestrator.saving.checkpoints import Checkpoints

if TYPE_CHECKING:
    from tasks.contract import Inputs, Task, Trial

#: Memory of a CUDA context, which torch does not report: between 300 and 600 MiB, depending on GPU
#: and libraries. This is the upper bound, because too many workers would run out of memory.
CONTEXT_BYTES = 600 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Memory of a device in bytes."""

    base: int  # used by the process before the trial
    peak: int  # maximum during the trial's step
    capacity: int  # of the device


def measure_step(
    task: Task,
    trial: Trial,
    inputs: Inputs,
    device: str,
    checkpoints: Checkpoints,
    step_timeout: float | None,
) -> tuple[Sequence[Event], Usage | None]:
    """Run and checkpoint a trial's next step; return its events and its memory usage if known."""
    base = _reset_peak(device)
    writer = CheckpointWriter(checkpoints=checkpoints)
    steps = run_pack(task, [trial], inputs, device, writer, step_timeout)
    events = next(steps)
    while all(event.replayed for event in events):  # steps of a resumed trial
        events = steps.send(set())
    steps.close()
    peak, capacity = _peak(device), device_memory()
    if base is None or peak is None or capacity is None:
        return events, None
    return events, Usage(base=base, peak=max(peak, 1), capacity=capacity)


def _reset_peak(device: str) -> int | None:
    """Reset the peak memory and return the memory in use."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.init()  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return CONTEXT_BYTES + torch.cuda.memory_reserved(device)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak, see proc(5)
    return _process_memory("VmRSS")


def _peak(device: str) -> int | None:
    if device.startswith("cuda"):
        import torch

        return CONTEXT_BYTES + torch.cuda.max_memory_reserved(device)
    return _process_memory("VmHWM")


def _process_memory(field: str) -> int | None:
    """Return a memory field of /proc/self/status; other systems report only the peak."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value.split()[0]) * 1024
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
