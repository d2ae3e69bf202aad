"""Calls and checks the ``search`` function of a space. Imports Optuna.

An error of the function ends the sweep. If the function raises ValueError or the task rejects the
values, only that configuration fails.
"""

from __future__ import annotations

import dataclasses
import os
import traceback
import warnings
from collections.abc import Mapping
from typing import Any

import optuna

from orchestrator.planning.discovery import suggest
from orchestrator.planning.plan import TrialFactory
from orchestrator.planning.space_checks import shown
from orchestrator.planning.spaces import Search
from orchestrator.search.options import SEED_PRUNERS
from search_spaces.space import Scalar
from tasks.contract import RequestError, Trial

NUM_SAMPLES = 24  # random configurations to check before a sweep starts


class InvalidConfigurationError(RequestError):
    """One configuration of a search cannot run. Others may."""

    def __init__(
        self, reason: str, values: Mapping[str, Scalar], *, is_complete: bool = True
    ) -> None:
        """Create the error.

        Args:
            reason: why the configuration cannot run.
            values: the known parameters.
            is_complete: whether parameters without a value have their defaults; otherwise they are
                unknown.
        """
        super().__init__(reason)
        self.values, self.is_complete = values, is_complete


def call_search(search: Search, optuna_trial: Any) -> Mapping[str, Scalar]:
    """Return the configuration that the search function suggests for an Optuna trial.

    Raises:
        InvalidConfigurationError: if the function raises ValueError.
        RequestError: if it raises any other error or does not return a dict of parameters.
    """
    try:
        with warnings.catch_warnings():
            # Optuna only warns if a parameter is suggested twice with different ranges.
            warnings.filterwarnings("error", "Inconsistent parameter values", RuntimeWarning)
            values = search(optuna_trial)
    except optuna.TrialPruned:
        raise RequestError("the search function must not raise TrialPruned; use --pruner") from None
    except (Exception, SystemExit) as error:
        message = (
            f"the search function failed{_location(search, error)}: "
            f"{type(error).__name__}: {error}; fix it"
        )
        if isinstance(error, ValueError) and not _raised_by_optuna(error):
            # The id of the failed row is a hash of this text.
            reason = f"the search refuses this configuration: {error}"
            values = dict(optuna_trial.params)  # the function may set others later
            raise InvalidConfigurationError(reason, values, is_complete=False) from error
        raise RequestError(message) from error
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise RequestError(
            f"the search function must return a dict of parameters, but returned {shown(values)}"
        )
    return values


def _location(search: Search, error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = getattr(getattr(search, "__code__", None), "co_filename", None)
    lines = [f" at line {frame.lineno} of {own}" for frame in frames if frame.filename == own]
    return lines[-1] if lines else ""


def _raised_by_optuna(error: BaseException) -> bool:
    """Return whether Optuna rejected a suggestion, which is an error of the function."""
    frames = traceback.extract_tb(error.__traceback__)
    package = os.path.dirname(optuna.__file__) + os.sep
    return bool(frames) and frames[-1].filename.startswith(package)


def make_trial(factory: TrialFactory, values: Mapping[str, Scalar], seed: int) -> Trial:
    """Return the trial of a configuration and seed.

    Raises:
        InvalidConfigurationError: if the task rejects the values.
    """
    try:
        return factory.trial(values, seed)
    except RequestError as error:
        raise InvalidConfigurationError(str(error), dict(values)) from error


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SearchSample:
    """Random configurations of a search, for ``--dry-run``."""

    trials: list[Trial]
    refused: list[str]  # the reasons why other configurations cannot run


def check_search_function(search: Search, factory: TrialFactory, pruner: str) -> SearchSample:
    """Check a search function with random configurations of a temporary study.

    Raises:
        RequestError: if no configuration can run, a suggested name is not a parameter, a parameter
            has two distributions, or the pruner cannot compare the trials.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    names = {f.name for f in dataclasses.fields(factory.task.Params)}
    trials: list[Trial] = []
    refused: list[str] = []
    for _ in range(NUM_SAMPLES):
        optuna_trial = study.ask()
        try:
            trials.append(make_trial(factory, call_search(search, optuna_trial), 0))
        except InvalidConfigurationError as error:
            refused.append(str(error))
        for name in optuna_trial.distributions:
            if name not in names:
                raise RequestError(
                    f"the search function suggests {name!r}, which is not a parameter; "
                    f"{suggest(name, sorted(names))}"
                )
    if not trials:
        raise RequestError(refused[0])
    _check_schedule(trials, factory, pruner)
    return SearchSample(trials=trials, refused=refused)


def _check_schedule(trials: list[Trial], factory: TrialFactory, pruner: str) -> None:
    """Check that a pruner of steps compares them at the same point of their schedules.

    After one epoch, a trial of 2 epochs has half of its learning rate, and one of 10 epochs 90 %.

    Raises:
        RequestError: if the search varies the length of the schedule and there is a pruner.
    """
    name = factory.task.schedule_length
    if name is None or pruner == "none" or pruner in SEED_PRUNERS:
        return
    lengths = sorted({getattr(trial.params, name) for trial in trials})
    if len(lengths) > 1:
        raise RequestError(
            f"the search varies {name} ({lengths[0]} to {lengths[-1]}), the length of each trial's "
            f"learning rate schedule, so --pruner {pruner} would compare trials at different "
            f"points of their schedules; fix it with --set {name}={lengths[-1]} or --pruner none"
        )
