"""Makes Optuna samplers from their names. Imports Optuna."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence

import optuna

from orchestrator.planning.objectives import Direction
from orchestrator.search.auto_sampler import make_auto_sampler
from orchestrator.search.options import parse_sampler
from results.extras import require
from tasks.contract import RequestError


def make_sampler(sampler: str, seed: int) -> optuna.samplers.BaseSampler:
    """Return the sampler for a value of ``--sampler``.

    Raises:
        RequestError: if it cannot be imported or does not take its arguments.
    """
    name, arguments = parse_sampler(sampler)
    classes: dict[str, Callable[..., optuna.samplers.BaseSampler]] = {
        "tpe": optuna.samplers.TPESampler,
        "random": optuna.samplers.RandomSampler,
        "qmc": optuna.samplers.QMCSampler,
        "gp": optuna.samplers.GPSampler,
        "cmaes": optuna.samplers.CmaEsSampler,
        "nsga2": optuna.samplers.NSGAIISampler,
    }
    if name == "cmaes":
        require("--sampler cmaes", "cmaes")
    if name == "auto":
        return make_auto_sampler(seed)
    if name not in classes:
        return _import_sampler(name, arguments, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of qmc
        return classes[name](seed=seed, **arguments)


def check_sampler(sampler: str, directions: Sequence[Direction]) -> None:
    """Check that a sampler can suggest values for the metrics of a search.

    Args:
        sampler: the value of ``--sampler``.
        directions: those of several metrics; empty for one metric.

    Raises:
        RequestError: if it cannot.
    """
    made = make_sampler(sampler, 0)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=made, directions=directions or ["minimize"])
    try:
        study.ask({"any": optuna.distributions.FloatDistribution(0.0, 1.0)})
    except Exception as error:
        raise RequestError(
            f"--sampler {sampler} cannot suggest values: {str(error).rstrip('.')}; use another "
            "one, such as tpe"
        ) from error


def _import_sampler(
    name: str, arguments: Mapping[str, object], seed: int
) -> optuna.samplers.BaseSampler:
    """Return a sampler of ``module:Class``; it gets the seed if it takes one."""
    module, _, attribute = name.partition(":")
    try:
        made = getattr(importlib.import_module(module), attribute)
        takes_seed = "seed" in inspect.signature(made).parameters
        found = made(**({"seed": seed} if takes_seed else {}), **arguments)
    except Exception as error:
        raise RequestError(
            f"--sampler {name} failed with {type(error).__name__}: {error}; check its name and "
            "arguments"
        ) from error
    if not isinstance(found, optuna.samplers.BaseSampler):
        raise RequestError(f"--sampler {name} is no sampler of Optuna, but {type(found).__name__}")
    return found
