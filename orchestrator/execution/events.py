"""What passes between the driver and its workers: packs one way, events the other."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.saving.checkpoints import TimedStep
from orchestrator.saving.final_weights import Written
from tasks.contract import SweepError, Trial

NO_WEIGHTS = Written()


MAX_SHOWN = 4  # trials of a pack in a line of the log
MAX_LOG = 100_000  # characters of a failed trial's log


@dataclass(frozen=True, kw_only=True, slots=True)
class Pack:
    """Trials that run together in one slot."""

    id: int
    trials: tuple[Trial, ...]


def describe(pack: Pack) -> str:
    """A pack in a line of the log."""
    shown = ", ".join(trial.id for trial in pack.trials[:MAX_SHOWN])
    number = len(pack.trials)
    more = f" and {number - MAX_SHOWN} more" if number > MAX_SHOWN else ""
    return f"pack {pack.id}, {number} trial{'s' if number > 1 else ''}: {shown}{more}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a trial ended without a result: one line, and a traceback or a worker's last lines."""

    reason: str
    log: str
    out_of_memory: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One step of one trial, or its failure. A resumed trial's past steps come again first."""

    trial_id: str
    outcome: TimedStep | Failure
    replayed: bool = False
    weights: Written = NO_WEIGHTS  # of a trial's last step


@dataclass(frozen=True, kw_only=True, slots=True)
class StepProgress:
    """How far a pack's step is. It may come late or not at all: results do not depend on it."""

    num_steps: Mapping[str, int]  # by the id of each trial in the step, its steps before this one
    share: float  # 0 to 1
    next_at: int | None = None  # ``Step.at`` at the step's end, if not one more than the last


ProgressListener = Callable[[StepProgress], None]


def failure(error: BaseException) -> Failure:
    """An exception as a row records it."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    text = str(error).strip().splitlines()
    first = text[0] if text else type(error).__name__
    known = isinstance(error, SweepError)
    reason = first if known else f"{type(error).__name__}: {first}" if text else first
    short = _ran_out_of_memory(error)
    return Failure(reason=reason, log="".join(lines)[-MAX_LOG:], out_of_memory=short)


def _ran_out_of_memory(error: BaseException) -> bool:
    """By Python, by CUDA (``torch.OutOfMemoryError``), or by torch's allocator on the CPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
