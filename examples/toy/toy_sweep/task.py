"""The toy task: its shared stage, the start of a trial, and one step.

N points, D = degree + 1 coefficients
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from tasks.contract import (
    Column,
    Inputs,
    Metric,
    PerSampleMetric,
    Stage,
    State,
    Step,
    Task,
    Trial,
    TrialError,
    report_progress,
)
from toy_sweep.params import Params

NUM_POINTS = 200
STEPS_PER_EPOCH = 10


def draw_points(*, split: str) -> dict[str, np.ndarray]:
    """Return the points ``x`` and ``y`` [N] of a sine wave with noise, which all trials share."""
    rng = np.random.default_rng([NUM_POINTS, len(split)])
    x = rng.uniform(-1, 1, NUM_POINTS)
    return {"x": x, "y": np.sin(3 * x) + rng.normal(0, 0.1, NUM_POINTS)}


POINTS = {split: Stage(function=draw_points, args={"split": split}) for split in ("train", "val")}


class ToyTask(Task):
    """Fit a polynomial by gradient descent. Copy this example to write a task."""

    name = "toy"
    version = "1"  # change it when a change of the code changes results
    Params = Params
    metric = Metric(name="error", label="squared error", direction="minimize")
    columns = (
        Column(key="param.degree", label="degree", format="integer"),
        Column(key="param.lr", label="lr", format="scientific"),
        Column(key="metric.error", label="squared error", format="number"),
    )
    # The metric is a mean over points. This declaration adds intervals and paired tests to tables.
    per_sample = (PerSampleMetric(metric="error", unit="point", value="squared_error"),)
    step_unit = "epoch"
    default_model = "polynomial"  # the task loads neither models nor data, so it has one name each
    default_data = "sine"

    def stages(self, trial: Trial) -> Sequence[Stage]:
        """Return the stages with the points, which are drawn once for all trials."""
        return list(POINTS.values())

    def pack_key(self, trial: Trial) -> Hashable:
        """Return one key for all trials, which are so short that they should share a process."""
        return ()

    def num_steps(self, trial: Trial) -> int:
        """Return the number of epochs, which is ``at`` of the last step."""
        return int(trial.params.epochs)

    def start(self, trial: Trial, inputs: Inputs, device: str) -> State:
        """Initialize random coefficients by the seed, with zero velocity."""
        size = trial.params.degree + 1
        weights = np.random.default_rng(trial.seed).normal(0, 0.1, size)
        return State(arrays={"weights": weights, "velocity": np.zeros(size)}, values={"epoch": 0})

    def step(self, trial: Trial, state: State, inputs: Inputs, device: str) -> tuple[State, Step]:
        """Run one epoch of gradient descent on the training points, and evaluate on the others."""
        params, train, val = trial.params, inputs[POINTS["train"]], inputs[POINTS["val"]]
        weights, velocity = state.arrays["weights"], state.arrays["velocity"]
        powers = np.vander(train["x"], params.degree + 1, increasing=True)  # [N, D]
        for number in range(STEPS_PER_EPOCH):
            report_progress(number, STEPS_PER_EPOCH)  # for the live view, if an epoch takes seconds
            gradient = powers.T @ (powers @ weights - train["y"]) / NUM_POINTS
            velocity = params.momentum * velocity - params.lr * gradient
            weights = weights + velocity
        predicted = np.vander(val["x"], params.degree + 1, increasing=True) @ weights
        errors = (predicted - val["y"]) ** 2
        error = float(errors.mean())
        epoch = state.values["epoch"] + 1
        if not math.isfinite(error):
            raise TrialError(f"the error is not finite at epoch {epoch}; lower lr")
        step = Step(
            at=epoch,
            metrics={"error": error},
            samples={"point": list(range(len(errors))), "squared_error": errors.tolist()},
            done=epoch >= params.epochs,
        )
        arrays = {"weights": weights, "velocity": velocity}
        return State(arrays=arrays, values={"epoch": epoch}), step

    def weights(self, trial: Trial, state: State) -> Mapping[str, object]:
        """Return the coefficients, without the velocity, to keep for the best trials."""
        return {"weights": state.arrays["weights"]}


TASK = ToyTask()
