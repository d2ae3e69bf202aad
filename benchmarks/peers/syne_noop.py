"""Run trials that do nothing with Syne Tune's local backend, and print milliseconds per trial.

python -m benchmarks.peers.syne_noop default 24      a Tuner as in its introduction
python -m benchmarks.peers.syne_noop best 48         polls often instead of every 5 s, not pickled

The time is from the first to the last result that the tuner receives. Each trial is a process.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

WORKERS = 2
BEST = {"sleep_time": 0.05, "save_tuner": False}


def results(script: str, scheduler: Any, number: int, **settings: Any) -> Any:
    """Run a script of this folder until ``number`` trials have finished; return their reports."""
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend import LocalBackend
    from syne_tune.results_callback import StoreResultsCallback

    store = StoreResultsCallback()  # the default callback, which has the times
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SYNETUNE_FOLDER"] = folder  # instead of ~/syne-tune
        Tuner(
            trial_backend=LocalBackend(entry_point=str(Path(__file__).with_name(script))),
            scheduler=scheduler,
            # It stops above this number, not at it.
            stop_criterion=StoppingCriterion(max_num_trials_finished=number - 1),
            n_workers=WORKERS,
            callbacks=[store],
            **settings,
        ).run()
    return store.dataframe()


def main() -> None:
    """Run the trials and print the milliseconds per trial."""
    from syne_tune.config_space import randint
    from syne_tune.optimizer.baselines import RandomSearch

    kind, number = sys.argv[1], int(sys.argv[2])
    scheduler = RandomSearch({"x": randint(0, 10**6)}, metrics=["value"], random_seed=0)
    settings = {"default": {}, "best": BEST}[kind]
    times = sorted(results("syne_noop_trial.py", scheduler, number, **settings)["st_tuner_time"])
    assert len(times) >= number
    print(f"RESULT {1000 * (times[-1] - times[0]) / (len(times) - 1):.3f}")


if __name__ == "__main__":
    main()
