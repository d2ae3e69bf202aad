"""Run trials that do nothing with stock Ray Tune, and print milliseconds per trial.

python -m benchmarks.peers.tune_noop class 1000      class trainable, reuse_actors, no loggers
python -m benchmarks.peers.tune_noop function 20     a function that reports once

The time is from the first to the last result.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from typing import Any

os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"

import ray
from ray import tune


class Noop(tune.Trainable):  # type: ignore[misc]
    """A trial of one step that reports one number."""

    def setup(self, config: dict[str, Any]) -> None:
        """Do nothing."""

    def step(self) -> dict[str, Any]:
        """Return a result and end the trial."""
        return {"value": 0.0, "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Accept the next trial, so that the actor is reused."""
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Do nothing."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Do nothing."""


def noop(config: dict[str, Any]) -> None:
    """Report one number, as in Tune's introduction."""
    tune.report({"value": 0.0})


class Watch(tune.Callback):  # type: ignore[misc]
    """Records the time of each result."""

    times: list[float]

    def __init__(self) -> None:
        self.times = []

    def on_trial_result(self, *args: Any, **info: Any) -> None:
        """Record the time."""
        self.times.append(time.perf_counter())


def main() -> None:
    """Run the trials and print the milliseconds per trial."""
    kind, number = sys.argv[1], int(sys.argv[2])
    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    watch = Watch()
    tuner = tune.Tuner(
        tune.with_resources(Noop if kind == "class" else noop, {"cpu": 1}),
        param_space={"x": tune.grid_search(list(range(number)))},
        tune_config=tune.TuneConfig(reuse_actors=kind == "class"),
        run_config=tune.RunConfig(
            storage_path=tempfile.mkdtemp(),
            callbacks=[watch],
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False)
            if kind == "class"
            else None,
        ),
    )
    tuner.fit()
    ray.shutdown()
    cost = (watch.times[-1] - watch.times[0]) / (len(watch.times) - 1)
    print(f"RESULT {1000 * cost:.3f}")


if __name__ == "__main__":
    main()
