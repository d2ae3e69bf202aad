"""What a search learns from earlier sweeps: ``--learn-from``. Imports Optuna."""

from __future__ import annotations

import dataclasses
import statistics
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FixedTrial, FrozenTrial, create_trial

from orchestrator.planning.plan import TrialFactory
from orchestrator.planning.spaces import Search
from orchestrator.search.function import call_search, make_trial
from orchestrator.search.history import metrics_of
from orchestrator.search.pruners import LEARNED
from search_spaces.space import Scalar
from tasks.contract import RequestError


@dataclass(kw_only=True)
class Learned:
    """The configurations of earlier sweeps that fit a space, as trials of Optuna."""

    trials: list[FrozenTrial] = field(default_factory=list)
    num_by_sweep: dict[str, int] = field(default_factory=dict)  # of these configurations
    num_outside: int = 0  # configurations that do not fit
    outside: Counter[str] = field(default_factory=Counter)  # parameters for which they do not


@dataclass(frozen=True, kw_only=True)
class FinishedConfiguration:
    """A configuration of an earlier sweep, with the mean of each metric over its seeds."""

    params: Mapping[str, Scalar]
    values: Sequence[float]


def finished_configurations(
    rows: Iterable[Mapping[str, Any]], metrics: Sequence[str]
) -> list[FinishedConfiguration]:
    """Return the configurations with finished trials that have all of these metrics."""
    grouped: dict[str, tuple[dict[str, Scalar], list[list[float]]]] = {}
    for row in rows:
        found = metrics_of(row)
        if row["status"] != "finished" or not found.keys() >= set(metrics):
            continue
        params = {k.removeprefix("param."): v for k, v in row.items() if k.startswith("param.")}
        key = repr(sorted(params.items()))
        grouped.setdefault(key, (params, []))[1].append([found[name] for name in metrics])
    return [
        FinishedConfiguration(
            params=params,
            values=[statistics.fmean(of_metric) for of_metric in zip(*values, strict=True)],
        )
        for _, (params, values) in sorted(grouped.items())  # the order of rows may change
    ]


def learn(
    sweeps: Mapping[str, Sequence[FinishedConfiguration]], search: Search, factory: TrialFactory
) -> Learned:
    """Return what a search can learn from the configurations of sweeps, by name.

    A configuration fits if the search function could suggest it and nothing else would differ. Of
    equal configurations only the first counts.
    """
    learned, seen = Learned(), set()
    for name, configurations in sweeps.items():
        learned.num_by_sweep[name] = 0
        for each in configurations:
            trial, outside = _fit(each, search, factory, name)
            if trial is None:
                learned.num_outside += 1
                learned.outside.update(outside)
            elif repr(trial.params) not in seen:
                seen.add(repr(trial.params))
                learned.trials.append(trial)
                learned.num_by_sweep[name] += 1
    return learned


def _fit(
    each: FinishedConfiguration, search: Search, factory: TrialFactory, sweep: str
) -> tuple[FrozenTrial | None, list[str]]:
    """Return a configuration as a trial, or None and the parameters that are outside."""
    fields = dataclasses.fields(factory.task.Params)
    params = {f.name: each.params.get(f.name, f.default) for f in fields}
    fixed = _FixedTrial(params)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # values out of range are found below
            suggested = call_search(search, fixed)
            outside = [n for n, d in fixed.distributions.items() if not _contains(d, params[n])]
            if outside:
                return None, outside
            made = make_trial(factory, suggested, 0).param_values()
    except RequestError:  # the function or the task refuses the configuration
        return None, fixed.outside
    outside = [name for name, value in made.items() if value != params[name]]
    if outside:
        return None, outside
    trial = create_trial(
        params=fixed.params,
        distributions=fixed.distributions,
        values=list(each.values),
        user_attrs={LEARNED: sweep},
    )
    return trial, []


class _FixedTrial(FixedTrial):
    """Suggests given values, and notes the parameter whose value Optuna rejects with an error."""

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.outside: list[str] = []

    @contextmanager
    def _noting(self, name: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError):
            self.outside.append(name)
            raise

    def suggest_float(self, name: str, *args: Any, **more: Any) -> float:
        with self._noting(name):
            return super().suggest_float(name, *args, **more)

    def suggest_int(self, name: str, *args: Any, **more: Any) -> int:
        with self._noting(name):
            return super().suggest_int(name, *args, **more)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        with self._noting(name):
            return super().suggest_categorical(name, choices)


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    """Return whether a value is in the range of a distribution."""
    try:
        create_trial(params={"x": value}, distributions={"x": distribution}, value=0.0)
    except (ValueError, TypeError):
        return False
    return True
