"""What rank 0 of a trial sends to the other ranks, and what they answer.

Both ends of a pipe run the same code, and rank 0 started the other end. Large tensors do not go
through the pipe, but through ``torch.distributed``.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from orchestrator.execution.events import Failure
from tasks.contract import Inputs, Member, State, Task, Trial
from tasks.process_group import ProcessGroup

TIMEOUT = 30 * 60.0  # seconds to wait for another rank, without --step-timeout
_leaving = threading.Lock()
LOOPBACK = "lo"  # all ranks are on one machine; nothing listens on its other addresses


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What a rank must know to join."""

    group: ProcessGroup
    folder: str  # private to the ranks, where they find each other
    task: Task
    on_gpu: bool  # each rank has its own, which is its first
    threads: int
    timeout: float  # seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorLike:
    """The shape and type of a tensor that rank 0 sends."""

    shape: tuple[int, ...]
    dtype: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Advance:
    """Run a step of these trials.

    ``states`` are their states, with ``TensorLike`` in place of tensors; None if the rank has them
    from the step before.
    """

    trials: Sequence[Trial]
    inputs: Inputs
    states: Sequence[State] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A rank is ready, has run a step, or has failed and ends."""

    failure: Failure | None = None
    by_peer: bool = field(default=False)  # whether it failed because another rank did


def join(setup: Setup) -> None:
    """Join the ranks of a trial; return when all have."""
    import torch.distributed as dist

    if sys.platform.startswith("linux"):
        for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
            os.environ.setdefault(name, LOOPBACK)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if setup.on_gpu else "gloo",
        init_method=f"file://{Path(setup.folder) / 'store'}",
        rank=setup.group.rank,
        world_size=setup.group.size,
        timeout=timedelta(seconds=setup.timeout),
    )


def leave(*, on_gpu: bool) -> None:
    """Leave the group, if this process is in one: its other ranks have ended.

    Two threads may call this when a rank dies.
    """
    import torch.distributed as dist

    with _leaving:
        if not dist.is_initialized():
            return
        if on_gpu:
            dist.distributed_c10d._abort_process_group()
        else:
            dist.destroy_process_group()


def outline(state: State) -> State:
    """Return a state with ``TensorLike`` in place of its tensors."""
    import torch

    arrays = {
        name: TensorLike(shape=tuple(value.shape), dtype=value.dtype)
        if isinstance(value, torch.Tensor)
        else value
        for name, value in state.arrays.items()
    }
    return State(arrays=arrays, values=state.values, resumable=state.resumable)


def send_tensors(group: ProcessGroup, members: Sequence[Member]) -> None:
    """Send the tensors of states, from rank 0."""
    import torch

    for member in members:
        tensors = [v for v in member.state.arrays.values() if isinstance(v, torch.Tensor)]
        group.send([tensor.detach().contiguous() for tensor in tensors])


def receive_tensors(
    group: ProcessGroup, trials: Sequence[Trial], states: Sequence[State], device: str
) -> list[Member]:
    """Return members with the tensors that rank 0 sends."""
    import torch

    members = []
    for trial, state in zip(trials, states, strict=True):
        arrays: Mapping[str, Any] = {
            name: torch.empty(value.shape, dtype=value.dtype, device=device)
            if isinstance(value, TensorLike)
            else value
            for name, value in state.arrays.items()
        }
        group.send([v for v in arrays.values() if isinstance(v, torch.Tensor)])
        own = State(arrays=dict(arrays), values=state.values, resumable=state.resumable)
        members.append(Member(trial=trial, state=own))
    return members
