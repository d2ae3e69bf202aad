"""The samplers and pruners, and their arguments. Does not import Optuna.

All arguments are listed, even Optuna's defaults, because they are recorded in ``sweep.json`` and
the defaults may change with Optuna's version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from results.storage.manifest_parts import Search
from tasks.contract import RequestError

DEFAULT_NUM_TRIALS = 50  # configurations of a search without --trials
DEFAULT_SAMPLER, DEFAULT_PRUNER = "tpe", "halving"

SAMPLERS: Mapping[str, Mapping[str, Any]] = {
    # constant_liar assumes bad values for running trials, so that parallel trials differ.
    "tpe": {
        "n_startup_trials": 10,
        "n_ei_candidates": 24,
        "multivariate": True,
        "group": False,
        "constant_liar": True,
    },
    "random": {},
    "qmc": {"qmc_type": "sobol", "scramble": False},
    "nsga2": {"population_size": 50, "crossover_prob": 0.9, "swapping_prob": 0.5},
}

PRUNERS: Mapping[str, Mapping[str, Any]] = {
    "halving": {"reduction_factor": 4},
    "median": {"n_startup_trials": 5, "n_warmup_steps": 0, "interval_steps": 1, "n_min_trials": 1},
    "hyperband": {"reduction_factor": 3},
    "none": {},
}


def check_name(option: str, value: str, known: Mapping[str, object]) -> None:
    """Check the value of ``--sampler`` or ``--pruner``.

    Raises:
        RequestError: if it does not exist.
    """
    if value not in known:
        raise RequestError(f"--{option} takes {', '.join(known)}, but got {value!r}")


def describe(trials: int, sampler: str, pruner: str) -> Search:
    """Return the record of a search in ``sweep.json``."""
    return Search(
        trials=trials,
        sampler={"name": sampler, **SAMPLERS[sampler]},
        pruner={"name": pruner, **PRUNERS[pruner]},
    )
