"""``TrackerRuns``: passes the updates of trials to a tracker. Runs in the tracker's process."""

from __future__ import annotations

import textwrap
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.tracking.samples import EndedTrial, tracked_result
from orchestrator.tracking.tracker import (
    Report,
    TrackedStep,
    TrackedSweep,
    TrackedTrial,
    Tracker,
)
from results.redaction import redact

MAX_LINE = 200  # characters of an error in a warning
SEND_SECONDS = 0.25  # after which ``send`` returns, so that a slow tracker shows its progress


@dataclass(frozen=True, kw_only=True)
class Update:
    """What is new in one trial."""

    trial: TrackedTrial
    steps: Sequence[TrackedStep]  # that may not have been sent yet
    ended: EndedTrial | None  # None if the trial has not ended


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What went wrong."""

    line: str  # for the warning
    details: str  # for the log
    is_final: bool = False  # whether nothing more can be sent

    @classmethod
    def of(cls, error: Exception) -> Problem:
        """Describe what a tracker raised."""
        if isinstance(error, TrackerFailedError):
            return error.problem
        first = redact(str(error).strip().partition("\n")[0])
        text = textwrap.shorten(first, MAX_LINE, placeholder=" ...")
        name = type(error).__name__
        return cls(
            line=f"{name}: {text}" if text else name,
            details="".join(traceback.format_exception(error)),
        )


class TrackerFailedError(Exception):
    """A tracker raised an error in its process, or the process died."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.line)
        self.problem = problem


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What became of updates."""

    number: int  # number of updates that were handled
    problem: Problem | None = None  # why the last one of these failed
    no_pictures: Sequence[tuple[str, Problem]] = ()  # trials without their pictures, and why


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the tracker's process answers to a call."""

    value: Any = None
    problem: Problem | None = None  # instead of a value


class Runs(Protocol):
    """The runs of a sweep in one tracker. The methods may raise whatever the tracker raises."""

    def open(self, sweep: TrackedSweep) -> str:
        """Connect, and return one line that says where to look."""

    def send(self, updates: Sequence[Update]) -> Sent:
        """Send updates in order, up to the first failure or for about ``SEND_SECONDS``."""

    def close(self, report: Report | None) -> None:
        """Add the report, if there is one, and disconnect."""

    def kill(self) -> None:
        """Stop at once. Another thread calls this, while a method waits for the tracker."""


class TrackerRuns:
    """``Runs`` in the process that has the tracker, without ``kill``."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._sent: dict[str, set[int]] = {}  # trial id -> steps that its open run has

    def open(self, sweep: TrackedSweep) -> str:
        """Connect; see ``Runs``."""
        return redact(self._tracker.open(sweep))

    def send(self, updates: Sequence[Update]) -> Sent:
        """Send updates; see ``Runs``."""
        start, number = time.perf_counter(), 0
        no_pictures: list[tuple[str, Problem]] = []
        for number, update in enumerate(updates, start=1):
            try:
                without = self._send(update)
                if without is not None:
                    no_pictures.append((update.trial.id, without))
            except Exception as error:
                problem = Problem.of(error)
                return Sent(number=number, problem=problem, no_pictures=no_pictures)
            finally:
                if update.ended is not None:
                    self._sent.pop(update.trial.id, None)
            if time.perf_counter() - start > SEND_SECONDS:
                break
        return Sent(number=number, no_pictures=no_pictures)

    def _send(self, update: Update) -> Problem | None:
        """Send an update; return why its pictures could not be drawn, None if they were."""
        trial = update.trial
        if trial.id not in self._sent:
            self._sent[trial.id] = set(self._tracker.start(trial))
        sent = self._sent[trial.id]
        new = [step for step in update.steps if step.at not in sent]
        if new:
            self._tracker.log(trial, new)
            sent.update(step.at for step in new)
        if update.ended is None:
            return None
        result, without = update.ended.result, None
        try:
            result = tracked_result(update.ended)
        except Exception as error:  # such as a damaged picture
            without = Problem.of(error)
        self._tracker.end(trial, result)
        return without

    def close(self, report: Report | None) -> None:
        """Add the report and disconnect; see ``Runs``."""
        self._tracker.close(report)
