"""What a trial really uses of its device's memory, measured over a step of it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.execution.events import Event
from orchestrator.execution.run_pack import run_pack
from orchestrator.hardware import device_bytes
from orchestrator.saving.checkpoint_writer import CheckpointWriter
from orchestrator.saving.checkpoints import Checkpoints

if TYPE_CHECKING:
    from tasks.contract import Inputs, Task, Trial

#: What CUDA's context takes of a GPU beside the tensors, and torch cannot see. Between 300 and 600
#: MiB by GPU and libraries; the larger, since too few slots are slower and too many fail.
CONTEXT_BYTES = 600 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Bytes of the device's memory."""

    base: int  # that a process fills before it starts on a trial
    peak: int  # that it filled at most during a trial's step
    capacity: int  # that the device has


def measure_step(
    task: Task,
    trial: Trial,
    inputs: Inputs,
    device: str,
    checkpoints: Checkpoints,
    deadline: float | None,
) -> tuple[Sequence[Event], Usage | None]:
    """The trial's next step, saved, and what it took; None where that cannot be told."""
    base = _start(device)
    writer = CheckpointWriter(checkpoints=checkpoints)
    steps = run_pack(task, [trial], inputs, device, writer, deadline)
    events = next(steps)
    while all(event.replayed for event in events):  # past steps of a trial that was cut off
        events = steps.send(set())
    steps.close()
    peak, capacity = _peak(device), device_bytes()
    if base is None or peak is None or capacity is None:
        return events, None
    return events, Usage(base=base, peak=max(peak, 1), capacity=capacity)


def _start(device: str) -> int | None:
    """Forget earlier peaks; what is filled now."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.init()  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return CONTEXT_BYTES + torch.cuda.memory_reserved(device)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): the peak begins anew
    return _resident("VmRSS")


def _peak(device: str) -> int | None:
    if device.startswith("cuda"):
        import torch

        return CONTEXT_BYTES + torch.cuda.max_memory_reserved(device)
    return _resident("VmHWM")


def _resident(what: str) -> int | None:
    """This process's memory by Linux; of other systems only the peak is known."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == what:
                return int(value.split()[0]) * 1024
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
