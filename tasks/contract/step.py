"""The state of a trial between two steps, and the results of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.contract.trial import Trial


@dataclass(kw_only=True, slots=True)
class State:
    """The state of a trial between two steps, which a checkpoint saves.

    ``arrays`` are numpy arrays or torch tensors by name, including those of an optimizer.
    ``values`` are plain values (numbers, strings, lists of them). Seed random numbers by (seed,
    epoch), so that the state needs no random generator. A state that is not ``resumable`` is not
    saved: an interrupted trial starts again.

    Examples:
        >>> state = State(values={"epoch": 3})
    """

    arrays: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    resumable: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """The results of one step.

    ``at`` is the epoch, rung or number of images seen, and increases from step to step.
    ``metrics`` must include the task's main metric in the last step; pruning uses the steps that
    include it. ``samples`` are columns of equal length, of which only those of the last step are
    stored; their names must not be ``task``, ``sweep``, ``trial_id`` or ``seed``. ``done`` ends
    the trial. A step with ``done`` may repeat the ``at`` of the step before it, which it then
    replaces: a task may learn only afterwards that a step was the last.

    Examples:
        >>> step = Step(at=3, metrics={"accuracy": 0.9}, done=True)
    """

    at: int
    metrics: Mapping[str, float]
    samples: Mapping[str, Sequence[Any]] | None = None
    done: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One trial of a pack, with the state from which its next step starts."""

    trial: Trial
    state: State


#: The new state of one trial, and the results of its step.
Advanced = tuple[State, Step]
