"""Run the 32 head trainings of ``benchmarks heads`` with Syne Tune, and print the seconds.

expert DIR MODEL     features are encoded once into a file that each trial reads; polls often
naive DIR MODEL      as in its introduction: a script that does all the work; two trials at once
                     are timed and extrapolated to 32
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.heads import GRID
from benchmarks.peers.heads import NUM_TRIALS, encode
from benchmarks.peers.syne_noop import BEST, WORKERS, results


def tuned(number: int, arguments: dict[str, str], **settings: Any) -> float:
    """Return the seconds until ``number`` trials have finished, which all take equally long."""
    from syne_tune.config_space import choice
    from syne_tune.optimizer.baselines import RandomSearch

    space = {name: choice(values) for name, values in GRID.items()} | arguments
    scheduler = RandomSearch(space, metrics=["i2t_r1"], do_minimize=False, random_seed=0)
    start = time.perf_counter()
    table = results("syne_heads_trial.py", scheduler, number, **settings)
    assert (table.groupby("trial_id").size() == GRID["epochs"][0]).sum() >= number
    return time.perf_counter() - start


def expert(folder: str, model: str) -> None:
    """Share a file of features between trials."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "features.npz"
        np.savez(path, **encode(folder, model))  # type: ignore[arg-type]
        tuned(NUM_TRIALS, {"features": str(path)}, **BEST)
    print(f"RESULT {time.perf_counter() - start:.1f}")


def naive(folder: str, model: str) -> None:
    """Let each trial load, encode and train separately."""
    seconds = tuned(WORKERS, {"folder": folder, "model": model})
    print(f"RESULT {seconds * NUM_TRIALS / WORKERS:.1f}")


if __name__ == "__main__":
    {"expert": expert, "naive": naive}[sys.argv[1]](*sys.argv[2:])
