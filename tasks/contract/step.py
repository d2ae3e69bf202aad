"""What a trial is between two steps, and what a step yields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.contract.trial import Trial


@dataclass(kw_only=True, slots=True)
class State:
    """A trial between two steps: the content of a checkpoint, and all that the next step reads.

    ``arrays`` are numpy arrays or torch tensors by name (an optimizer's moments included);
    ``values`` are plain (numbers, strings, lists of them). Draw random numbers from (seed, epoch),
    so that no generator has to be kept. A state that is not ``resumable`` is not saved: if the
    trial is interrupted, it starts again.

    Examples:
        >>> state = State(values={"epoch": 3})
    """

    arrays: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    resumable: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What one step yields.

    ``at`` is the epoch, rung or number of images seen and grows from step to step. ``metrics`` hold
    the task's main metric at least at the last step; pruning looks at the steps that have it.
    ``samples`` are columns of equal length, kept of a trial's last step; their names must not be
    ``task``, ``sweep``, ``trial_id`` or ``seed``. ``done`` ends the trial; such a step may have
    the ``at`` of the one before and then replaces it, if the task learns only later that it was
    the last.

    Examples:
        >>> step = Step(at=3, metrics={"accuracy": 0.9}, done=True)
    """

    at: int
    metrics: Mapping[str, float]
    samples: Mapping[str, Sequence[Any]] | None = None
    done: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One trial of a pack, with the state that its next step starts from."""

    trial: Trial
    state: State


#: The result of a step of one trial.
Advanced = tuple[State, Step]
