"""Syne Tune's local backend on trials that do nothing; prints ms from first to last, a trial.

DIR/bin/python benchmarks/peers/syne_noop.py 20     with syne-tune installed in the environment DIR

As its documentation teaches: a script that reports through ``Reporter``, run as a process a trial,
two at a time; with its pause between two looks at them cut from 5 s to 0.1 s.
"""

import logging
import sys
import tempfile
import time
from pathlib import Path

SCRIPT = """\
import argparse
from syne_tune import Reporter

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=int)
arguments, _ = parser.parse_known_args()  # the backend passes some of its own
Reporter()(value=arguments.x)
"""


def main() -> None:
    """The command line."""
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend import LocalBackend
    from syne_tune.config_space import randint
    from syne_tune.optimizer.baselines import RandomSearch
    from syne_tune.tuner_callback import TunerCallback

    class Watch(TunerCallback):
        def __init__(self) -> None:
            self.times: list[float] = []

        def on_trial_complete(self, trial: object, result: object) -> None:
            self.times.append(time.perf_counter())

    logging.getLogger().setLevel(logging.ERROR)
    folder = Path(tempfile.mkdtemp())
    (folder / "noop.py").write_text(SCRIPT)
    watch = Watch()
    Tuner(
        trial_backend=LocalBackend(str(folder / "noop.py"), binary=sys.executable),
        scheduler=RandomSearch({"x": randint(0, 10**6)}, metrics=["value"], random_seed=0),
        stop_criterion=StoppingCriterion(max_num_trials_finished=int(sys.argv[1])),
        n_workers=2,
        sleep_time=0.1,
        callbacks=[watch],
        save_tuner=False,
        trial_backend_path=str(folder / "trials"),
    ).run()
    cost = (watch.times[-1] - watch.times[0]) / (len(watch.times) - 1)
    print(f"RESULT {1000 * cost:.3f}")


if __name__ == "__main__":
    main()
