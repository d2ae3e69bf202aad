"""The samplers and pruners, and their arguments. Does not import Optuna.

All arguments are listed, even Optuna's defaults, because they are recorded in ``sweep.json`` and
the defaults may change with Optuna's version.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.planning.objectives import Objective
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
    "gp": {"n_startup_trials": 10, "deterministic_objective": False},
    "cmaes": {"n_startup_trials": 1, "warn_independent_sampling": False},
    "nsga2": {"population_size": 50, "crossover_prob": 0.9, "swapping_prob": 0.5},
    "auto": {},  # OptunaHub's, which chooses among Optuna's samplers
}

#: ``module:Class`` or ``module:Class(argument=value)``: a sampler of Optuna's interface.
_CUSTOM = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)(?P<call>\(.*\))?")

PRUNERS: Mapping[str, Mapping[str, Any]] = {
    "halving": {"reduction_factor": 4},
    "median": {"n_startup_trials": 5, "n_warmup_steps": 0, "interval_steps": 1, "n_min_trials": 1},
    "hyperband": {"reduction_factor": 3},
    "wilcoxon": {"p_threshold": 0.1, "n_startup_steps": 2},
    "none": {},
}

#: Pruners that compare final values seed by seed, instead of the steps of first seeds.
SEED_PRUNERS = ("wilcoxon",)

#: With 4 pairs the smallest one-sided p-value is 1/16, with 3 pairs 1/8. So a Wilcoxon test at 0.1
#: decides after the fourth seed, and only a fifth seed can be saved.
MIN_WILCOXON_SEEDS = 5


def check_name(option: str, value: str, known: Mapping[str, object]) -> None:
    """Check the value of an option such as ``--pruner``.

    Raises:
        RequestError: if it does not exist.
    """
    if value not in known:
        raise RequestError(f"--{option} takes {', '.join(known)}, but got {value!r}")


def parse_sampler(text: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the arguments of a value of ``--sampler``.

    The name is one of ``SAMPLERS``, or ``module:Class``.

    Raises:
        RequestError: if it is neither, or an argument is not a plain value.
    """
    if text in SAMPLERS:
        return text, dict(SAMPLERS[text])
    match = _CUSTOM.fullmatch(text)
    if match is None:
        raise RequestError(
            f"--sampler takes {', '.join(SAMPLERS)} or module:Class, but got {text!r}"
        )
    try:
        call = ast.parse(f"f{match['call'] or '()'}", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or any(k.arg is None for k in call.keywords):
            raise ValueError
        arguments = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, ValueError):
        raise RequestError(
            f"the arguments of --sampler {text!r} must be plain values by name, such as "
            f"{match['module']}:{match['name']}(n_startup_trials=5)"
        ) from None
    return f"{match['module']}:{match['name']}", arguments


def describe(
    trials: int, sampler: str, pruner: str, objectives: Sequence[Objective] = ()
) -> Search:
    """Return the record of a search in ``sweep.json``."""
    name, arguments = parse_sampler(sampler)
    return Search(
        trials=trials,
        sampler={"name": name, **arguments},
        pruner={"name": pruner, **PRUNERS[pruner]},
        metrics={each.name: each.direction for each in objectives},
    )
