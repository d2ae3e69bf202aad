"""``Tracker``: the base class of every experiment tracker, and what it receives.

What is sent to a tracker's process has no slots: they would make pickling four times as slow.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.contract import Scalar, Trial


@dataclass(frozen=True, kw_only=True)
class TrackedSweep:
    """The sweep that a tracker receives."""

    task: str
    name: str
    folder: str | None  # the local folder of its results; None if they are in a bucket
    metric: str  # the main metric
    maximize: bool  # whether a higher main metric is better
    is_rerun: bool  # with ``--rerun``: trials replace their runs of earlier processes
    #: The different values of each parameter of a grid; empty for a search.
    parameters: Mapping[str, Sequence[Scalar]]

    @property
    def full_name(self) -> str:
        """``task/name``."""
        return f"{self.task}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class TrackedTrial:
    """A trial, which is one run of a tracker."""

    id: str  # 16 hex digits, equal in every process that runs the trial
    parameters: Mapping[str, Scalar]  # those of the task, and ``seed``, ``model`` and ``data``

    @classmethod
    def of(cls, trial: Trial) -> TrackedTrial:
        """Describe a trial."""
        parameters = trial.param_values()
        parameters |= {"seed": trial.seed, "model": trial.model.name, "data": trial.data.name}
        return cls(id=trial.id, parameters=parameters)


@dataclass(frozen=True, kw_only=True)
class TrackedStep:
    """The metrics of one step."""

    at: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class TrackedResult:
    """How a trial ended. An interrupted one has no samples."""

    status: str  # finished, stopped (pruned), failed, cancelled or interrupted
    reason: str  # why it failed or was cancelled; empty otherwise
    at: int  # its last step; 0 without one
    metrics: Mapping[str, float]  # of its last step
    #: The samples of its last step without pictures, as columns of equal length.
    table: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)  # PNG files by name


@dataclass(frozen=True, kw_only=True)
class Report:
    """The tables of the sweep at the end of a process."""

    markdown: str
    html: str


def plain_name(name: str) -> str:
    """Return a metric's name without the characters that some trackers refuse, such as @."""
    return re.sub(r"[^\w./-]", "_", name, flags=re.ASCII)


class Tracker:
    """Sends a sweep to one experiment tracker.

    Another package adds a tracker as an entry point ``orchestrator.trackers``, whose value is a
    subclass. It is created without arguments. All its methods except ``check`` are called in a
    separate process, so they may be slow, and what they raise does not affect the sweep. Import the
    tracker's package in the methods.

    An interrupted trial that resumes is started again, in another process, with all its steps from
    the first one. ``start`` continues its run and returns the steps that the run already has.
    """

    def check(self) -> None:
        """Check that it can be used, in the sweep's own thread before the sweep starts.

        Raises:
            RequestError: if it cannot, such as without a login. The message says how to fix it.
        """

    def open(self, sweep: TrackedSweep) -> str:
        """Connect, and return one line that says where to look. Called before the first trial."""
        raise NotImplementedError

    def start(self, trial: TrackedTrial) -> Collection[int]:
        """Start or continue the run of a trial.

        Returns:
            ``TrackedStep.at`` of the steps that the run has; they are not sent again.
        """
        raise NotImplementedError

    def log(self, trial: TrackedTrial, steps: Sequence[TrackedStep]) -> None:
        """Add steps to the run of a trial, in the order of ``at``."""
        raise NotImplementedError

    def end(self, trial: TrackedTrial, result: TrackedResult) -> None:
        """End the run of a trial, which may continue in another process if it is interrupted."""

    def close(self, report: Report | None) -> None:
        """Add the report, if there is one, and disconnect."""
