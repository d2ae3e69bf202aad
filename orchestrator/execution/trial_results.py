"""A running trial and the rows of its result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from orchestrator.execution.events import NO_WEIGHTS, Failure
from orchestrator.saving.checkpoints import TimedStep
from orchestrator.saving.final_weights import SavedWeights
from results.storage.schema import NO_MORE_SEEDS
from results.storage.store import TrialResult
from tasks.contract import Metric, Trial

LOG_LENGTH = 4000  # last characters of the log in a trial's row; the log file has more


@dataclass(kw_only=True, slots=True)
class RunningTrial:
    """A trial from the time it is assigned to a pack until its result is durable."""

    trial: Trial
    started: datetime
    steps: dict[int, TimedStep] = field(default_factory=dict)  # by ``Step.at``
    is_on_worker: bool = False  # whether a worker runs it now
    uses_stages: bool = False  # whether its use of the stages is counted
    held_in: int = 0  # the number of the pause in which its worker holds it; 0 for none
    worker: str = ""  # that made its last step, ``host:pid``
    is_last_seed: bool = False  # finished, but its configuration was pruned: no more seeds run
    weights: SavedWeights = NO_WEIGHTS
    row: Mapping[str, Any] = field(default_factory=dict)  # of ``trials``, set by ``result``

    def ordered_steps(self) -> list[TimedStep]:
        """Return the steps in the order of ``Step.at``."""
        return [self.steps[at] for at in sorted(self.steps)]

    def value(self, metric: str) -> float | None:
        """Return the last measured value of a metric, None if it was never measured."""
        measured = [s for s in self.ordered_steps() if metric in s.step.metrics]
        return float(measured[-1].step.metrics[metric]) if measured else None

    def last_metrics(self) -> Mapping[str, float]:
        """Return the metrics of the last step, empty if there is none."""
        steps = self.ordered_steps()
        return steps[-1].step.metrics if steps else {}

    def result(self, status: str, error: Failure | None, metric: Metric) -> TrialResult:
        """Return the rows of the result, and set ``row``."""
        trial, steps = self.trial, self.ordered_steps()
        row: dict[str, Any] = {
            "trial_id": trial.id,
            "seed": trial.seed,
            "status": status,
            "reason": error.reason if error else NO_MORE_SEEDS if self.is_last_seed else None,
            "log": error.log[-LOG_LENGTH:] if error and status == "failed" else None,
            "reused_from": None,
            "model": trial.model.name,
            "model_fingerprint": trial.model.fingerprint,
            "data": trial.data.name,
            "data_fingerprint": trial.data.fingerprint,
            "version": trial.version,
            "started": self.started,
            "ended": datetime.now(UTC),
            "seconds": sum(s.seconds for s in steps),
            "num_steps": len(steps),
            "worker": self.worker or None,
            **{f"param.{name}": value for name, value in trial.param_values().items()},
        }
        if steps:
            row |= _metrics(steps[-1]) | best_values(steps, metric.name, metric.direction)
        self.row = row
        rows = [
            {
                "trial_id": trial.id,
                "seed": trial.seed,
                "at": s.step.at,
                "seconds": s.seconds,
                **_metrics(s),
            }
            for s in steps
        ]
        return TrialResult(
            trial=row,
            steps=rows,
            samples=steps[-1].step.samples if steps else None,
            log=f"{error.reason}\n\n{error.log}" if error and status == "failed" else "",
        )


def _metrics(timed: TimedStep) -> dict[str, float]:
    return {f"metric.{name}": float(value) for name, value in timed.step.metrics.items()}


def best_values(steps: Sequence[TimedStep], metric: str, direction: str) -> dict[str, float]:
    """Return all metrics of the step with the best main metric, as ``best.<name>``."""
    sign = 1.0 if direction == "maximize" else -1.0
    finite = [s for s in steps if math.isfinite(s.step.metrics.get(metric, math.nan))]
    if not finite:
        return {}
    best = max(finite, key=lambda s: sign * s.step.metrics[metric])
    return {f"best.{k}": float(v) for k, v in best.step.metrics.items()}
