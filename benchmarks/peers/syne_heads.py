"""The 32 head trainings of ``benchmarks heads`` by Syne Tune's local backend; prints seconds.

expert DIR MODEL     features encoded once by hand into a file that each trial reads; polls often
naive DIR MODEL      as its first page teaches: a script that does all for itself; two trials side
                     by side are timed, and 32 worked out from them
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


def tuned(number: int, told: dict[str, str], **settings: Any) -> float:
    """Seconds until so many trials had finished, which all take equally long."""
    from syne_tune.config_space import choice
    from syne_tune.optimizer.baselines import RandomSearch

    space = {name: choice(values) for name, values in GRID.items()} | told
    scheduler = RandomSearch(space, metrics=["i2t_r1"], do_minimize=False, random_seed=0)
    began = time.perf_counter()
    table = results("syne_heads_trial.py", scheduler, number, **settings)
    assert (table.groupby("trial_id").size() == GRID["epochs"][0]).sum() >= number
    return time.perf_counter() - began


def expert(folder: str, model: str) -> None:
    """What can be shared by hand: a file of features."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "features.npz"
        np.savez(path, **encode(folder, model))  # type: ignore[arg-type]
        tuned(NUM_TRIALS, {"features": str(path)}, **BEST)
    print(f"RESULT {time.perf_counter() - began:.1f}")


def naive(folder: str, model: str) -> None:
    """Each trial loads, encodes and trains for itself."""
    took = tuned(WORKERS, {"folder": folder, "model": model})
    print(f"RESULT {took * NUM_TRIALS / WORKERS:.1f}")


if __name__ == "__main__":
    {"expert": expert, "naive": naive}[sys.argv[1]](*sys.argv[2:])
