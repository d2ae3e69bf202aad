"""The messages between driver and workers: packs to the workers, events to the driver."""

from __future__ import annotations

import functools
import os
import socket
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.saving.checkpoints import TimedStep
from orchestrator.saving.final_weights import SavedWeights
from tasks.contract import StoreError, SweepError, Trial

NO_WEIGHTS = SavedWeights()

MAX_SHOWN = 4  # trial ids of a pack in a log line
MAX_LOG = 100_000  # characters of a failed trial's log


@dataclass(frozen=True, kw_only=True, slots=True)
class Pack:
    """Trials that run together in one worker."""

    id: int
    trials: tuple[Trial, ...]


def describe(pack: Pack) -> str:
    """Return a description of a pack for the log."""
    shown = ", ".join(trial.id for trial in pack.trials[:MAX_SHOWN])
    number = len(pack.trials)
    more = f" and {number - MAX_SHOWN} more" if number > MAX_SHOWN else ""
    return f"pack {pack.id}, {number} trial{'s' if number > 1 else ''}: {shown}{more}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a trial failed."""

    reason: str  # one line
    log: str  # a traceback, or the last lines of the worker's output
    out_of_memory: bool = False
    of_storage: bool = False  # not of the task: the trial can resume from its checkpoint


@functools.cache
def worker_name() -> str:
    """Return the name of this process as a worker, ``host:pid``."""
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One step of a trial, or its failure."""

    trial_id: str
    outcome: TimedStep | Failure
    replayed: bool = False  # whether the step was read from the checkpoint of a resumed trial
    weights: SavedWeights = NO_WEIGHTS  # written before the last step is reported
    worker: str = field(default_factory=worker_name)  # the process that created the event


@dataclass(frozen=True, kw_only=True, slots=True)
class StepProgress:
    """Progress of a pack within its step. Reports may be late or lost; results do not need them."""

    num_steps: Mapping[str, int]  # trial id -> number of steps before this one
    share: float  # completed part of the step, 0 to 1
    next_at: int | None = None  # ``Step.at`` of this step, None for one more than the last


ProgressListener = Callable[[StepProgress], None]


def to_failure(error: BaseException) -> Failure:
    """Describe an exception."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    text = str(error).strip().splitlines()
    first = text[0] if text else type(error).__name__
    is_ours = isinstance(error, SweepError)
    reason = first if is_ours else f"{type(error).__name__}: {first}" if text else first
    oom = _is_out_of_memory(error)
    return Failure(
        reason=reason,
        log="".join(lines)[-MAX_LOG:],
        out_of_memory=oom,
        of_storage=isinstance(error, StoreError),
    )


def _is_out_of_memory(error: BaseException) -> bool:
    """Return whether Python, CUDA or torch's CPU allocator ran out of memory."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
