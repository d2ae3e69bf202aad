"""What ``--sampler`` and ``--pruner`` take, with the arguments of each. Imports no Optuna.

The arguments are spelled out, also where they are Optuna's defaults: they are recorded in
``sweep.json``, and a later Optuna may have other defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from results.storage.manifest_parts import Search
from tasks.contract import RequestError

TRIALS = 50  # configurations of a search, where --trials is not given
DEFAULT_SAMPLER, DEFAULT_PRUNER = "tpe", "halving"

SAMPLERS: Mapping[str, Mapping[str, Any]] = {
    # constant_liar counts running trials as bad ones, so that trials side by side differ.
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
    """Refuse a value of ``--sampler`` or ``--pruner`` that does not exist.

    Raises:
        RequestError: with the ones that do.
    """
    if value not in known:
        raise RequestError(f"--{option} takes {', '.join(known)}, but got {value!r}")


def describe(trials: int, sampler: str, pruner: str) -> Search:
    """A search as ``sweep.json`` records it."""
    return Search(
        trials=trials,
        sampler={"name": sampler, **SAMPLERS[sampler]},
        pruner={"name": pruner, **PRUNERS[pruner]},
    )
