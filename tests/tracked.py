"""Trials for tests of trackers, and a tracker that records what it receives."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.execution.events import Failure
from orchestrator.execution.trial_results import RunningTrial
from orchestrator.saving.checkpoints import TimedStep
from orchestrator.tracking.tracker import (
    Report,
    TrackedResult,
    TrackedStep,
    TrackedSweep,
    TrackedTrial,
    Tracker,
)
from tasks.contract import Metric, Source, Step, Trial

METRIC = Metric(name="error", label="error", direction="minimize")


@dataclass(frozen=True, kw_only=True)
class Params:
    lr: float = 0.1
    word: str | None = None


def sweep(folder: str | None = None, *, is_rerun: bool = False) -> TrackedSweep:
    return TrackedSweep(
        task="toy",
        name="s",
        folder=folder,
        metric="error",
        maximize=False,
        is_rerun=is_rerun,
        parameters={"lr": [0.1, 0.2], "word": [None], "seed": [0, 1, 2]},
    )


def trial(seed: int = 0) -> Trial:
    none = Source(name="none", fingerprint="1")
    return Trial(task="toy", version="1", params=Params(), seed=seed, model=none, data=none)


def tracked_trial(seed: int = 0) -> TrackedTrial:
    return TrackedTrial.of(trial(seed))


def steps(*numbers: int) -> list[TrackedStep]:
    """Steps whose metrics follow from their numbers."""
    return [TrackedStep(at=at, metrics={"error": 1 / (1 + at), "r@1": at / 8}) for at in numbers]


def running(seed: int = 0, num_steps: int = 0) -> RunningTrial:
    made = RunningTrial(trial=trial(seed), started=datetime.now(UTC))
    for at in range(num_steps):
        add_step(made, at)
    return made


def add_step(
    one: RunningTrial, at: int, samples: Mapping[str, Sequence[Any]] | None = None
) -> None:
    step = Step(at=at, metrics={"error": 1 / (1 + at), "r@1": at / 8}, samples=samples)
    one.steps[at] = TimedStep(step=step, seconds=0.5)


def end(one: RunningTrial, status: str = "finished", reason: str = "") -> RunningTrial:
    one.result(status, Failure(reason=reason, log="") if reason else None, METRIC)
    return one


class Recorder(Tracker):
    """Records what it receives, as ``(method, trial id, content)``."""

    def __init__(self, known: Collection[int] = ()) -> None:
        self.calls: list[tuple[str, str, Any]] = []
        self._known = known

    def open(self, sweep: TrackedSweep) -> str:
        self.calls.append(("open", "", sweep))
        return "here"

    def start(self, trial: TrackedTrial) -> Collection[int]:
        self.calls.append(("start", trial.id, trial))
        return self._known

    def log(self, trial: TrackedTrial, steps: Sequence[TrackedStep]) -> None:
        self.calls.append(("log", trial.id, [step.at for step in steps]))

    def end(self, trial: TrackedTrial, result: TrackedResult) -> None:
        self.calls.append(("end", trial.id, result))

    def close(self, report: Report | None) -> None:
        self.calls.append(("close", "", report))

    def of(self, method: str) -> list[Any]:
        return [content for name, _, content in self.calls if name == method]

    def logged(self, trial_id: str) -> list[int]:
        """The steps of a trial, in the order they came."""
        return [
            at
            for name, of, content in self.calls
            if (name, of) == ("log", trial_id)
            for at in content
        ]


def install_tracker(
    monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, code: str, package: str = ""
) -> None:
    """Install a package with a tracker, whose module is ``code``, for the rest of a test."""
    package = package or name
    (folder / f"{package}_module.py").write_text(code)
    info = folder / f"{package}-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(
        f"[orchestrator.trackers]\n{name} = {package}_module:Mine\n"
    )
    monkeypatch.syspath_prepend(str(folder))


REPORT = Report(markdown="### Rows\n\n| lr |\n| --- |\n| 0.1 |\n", html="<p>Rows 0.1</p>")
EMPTY = TrackedResult(status="finished", reason="", at=1, metrics={})


def result(**changes: Any) -> TrackedResult:
    return replace(EMPTY, **changes)
