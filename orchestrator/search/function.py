"""A space's ``search`` function: asking it for configurations, and checking it beforehand.

What is wrong with the function itself ends a sweep. What is wrong with one configuration, because
the function raises ValueError or the task refuses the values, fails that configuration alone.
Imports Optuna.
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
from orchestrator.planning.plan import Search, TrialFactory
from orchestrator.planning.space_checks import shown
from search_spaces.space import Scalar
from tasks.contract import RequestError, Trial

NUM_SAMPLES = 24  # random configurations that a search is asked for before a sweep begins


class InvalidConfigurationError(RequestError):
    """One configuration of a search cannot run; others may."""

    def __init__(self, reason: str, values: Mapping[str, Scalar], *, is_whole: bool = True) -> None:
        """``is_whole``: parameters without a value have their defaults; else they are not known."""
        super().__init__(reason)
        self.values, self.is_whole = values, is_whole


def ask(search: Search, asked: Any) -> Mapping[str, Scalar]:
    """The configuration that a search gives for an Optuna trial.

    Raises:
        InvalidConfigurationError: if it raises ValueError for this one.
        RequestError: if it raises anything else, or returns no configuration.
    """
    try:
        with warnings.catch_warnings():
            # Of one name asked for twice with two ranges, Optuna takes the first and warns.
            warnings.filterwarnings("error", "Inconsistent parameter values", RuntimeWarning)
            values = search(asked)
    except optuna.TrialPruned:
        raise RequestError("the search must not prune: --pruner does") from None
    except (Exception, SystemExit) as error:
        message = (
            f"the search function failed{_place(search, error)}: "
            f"{type(error).__name__}: {error}; fix it"
        )
        if isinstance(error, ValueError) and not _raised_by_optuna(error):
            refused = f"the search refuses this configuration: {error}"
            suggested = dict(asked.params)  # the function would have set others, too
            raise InvalidConfigurationError(refused, suggested, is_whole=False) from error
        raise RequestError(message) from error
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise RequestError(
            f"the search function must return a dict of parameters, but returned {shown(values)}"
        )
    return values


def _place(search: Search, error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = getattr(getattr(search, "__code__", None), "co_filename", None)
    lines = [f" at line {frame.lineno} of {own}" for frame in frames if frame.filename == own]
    return lines[-1] if lines else ""


def _raised_by_optuna(error: BaseException) -> bool:
    """Whether a suggestion was refused, which is wrong in every configuration."""
    frames = traceback.extract_tb(error.__traceback__)
    package = os.path.dirname(optuna.__file__) + os.sep
    return bool(frames) and frames[-1].filename.startswith(package)


def make_trial(factory: TrialFactory, values: Mapping[str, Scalar], seed: int) -> Trial:
    """The trial of a configuration.

    Raises:
        InvalidConfigurationError: if the task refuses the values.
    """
    try:
        return factory.trial(values, seed)
    except RequestError as error:
        raise InvalidConfigurationError(str(error), dict(values)) from error


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SearchSample:
    """Random configurations of a search, as ``--dry-run`` shows them."""

    trials: list[Trial]
    refused: list[str]  # why the others cannot run


def check_search(search: Search, factory: TrialFactory, pruner: str) -> SearchSample:
    """Ask a search for some configurations of a throw-away study.

    Raises:
        RequestError: saying what it did wrong: no configuration can run, a suggestion is no
            parameter, one name has two distributions, or the pruner cannot compare its trials.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    names = {f.name for f in dataclasses.fields(factory.task.Params)}
    trials: list[Trial] = []
    refused: list[str] = []
    for _ in range(NUM_SAMPLES):
        asked = study.ask()
        try:
            trials.append(make_trial(factory, ask(search, asked), 0))
        except InvalidConfigurationError as error:
            refused.append(str(error))
        for name in asked.distributions:
            if name not in names:
                raise RequestError(
                    f"the search suggests {name!r}, which is no parameter; "
                    f"{suggest(name, sorted(names))}"
                )
    if not trials:
        raise RequestError(refused[0])
    _check_schedule(trials, factory, pruner)
    return SearchSample(trials=trials, refused=refused)


def _check_schedule(trials: list[Trial], factory: TrialFactory, pruner: str) -> None:
    """Refuse to compare trials at different points of their schedules.

    A trial of 2 epochs ends its first with half of its learning rate, one of 10 with nine tenths.
    """
    name = factory.task.schedule_length
    if name is None or pruner == "none":
        return
    lengths = sorted({getattr(trial.params, name) for trial in trials})
    if len(lengths) > 1:
        raise RequestError(
            f"the search varies {name} ({lengths[0]} to {lengths[-1]}), the length of each trial's "
            f"learning rate schedule, so --pruner {pruner} would compare trials at different "
            f"points of their schedules; fix it with --set {name}={lengths[-1]}, or give "
            "--pruner none"
        )
