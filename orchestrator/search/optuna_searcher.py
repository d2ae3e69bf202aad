"""A searcher that suggests trials with an Optuna study. Imports Optuna.

The study is in memory, and is restored from the Parquet tables when a search is resumed. One Optuna
trial is one configuration, which runs with every seed. Optuna gets the mean over the seeds; the
pruner compares first seeds.
"""

from __future__ import annotations

import importlib
import inspect
import statistics
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import optuna
from optuna.trial import TrialState

from orchestrator.planning.labels import SEED, Configuration, EarlierTrial
from orchestrator.planning.plan import TrialFactory
from orchestrator.planning.spaces import Search
from orchestrator.search.function import InvalidConfigurationError, call_search, make_trial
from orchestrator.search.history import PastConfiguration, PastTrial
from orchestrator.search.options import PRUNERS, check_name, parse_sampler
from orchestrator.search.pruners import make_pruner
from orchestrator.search.restore import RestoredConfiguration, restore_configuration
from results.extras import require
from tasks.contract import RequestError, Trial

Direction = Literal["maximize", "minimize"]


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
    if name not in classes:
        return _import_sampler(name, arguments, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of qmc
        return classes[name](seed=seed, **arguments)


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


@dataclass(kw_only=True, slots=True)
class _Configuration:
    """A configuration and its trials, one per seed."""

    optuna_trials: list[optuna.Trial]  # more than one if Optuna suggests it again while it runs
    unfinished: set[str]  # ids of trials that have not ended
    values: list[float] = field(default_factory=list)  # of trials that have ended
    first_id: str  # of the trial with the first seed
    steps: list[int] = field(default_factory=list)  # reported to Optuna
    pruned: bool = False
    failed: bool = False


class OptunaSearcher:
    """Suggests ``num_configurations`` configurations, including those of earlier runs."""

    def __init__(
        self,
        *,
        search: Search,
        factory: TrialFactory,
        seeds: Sequence[int],
        num_configurations: int,
        direction: Direction,
        sampler: str = "tpe",
        pruner: str = "halving",
        sampler_seed: int = 0,
        known: Callable[[Trial], PastTrial | None] = lambda trial: None,
        on_invalid: Callable[[InvalidConfigurationError], None] = lambda error: None,
    ) -> None:
        """Create a searcher.

        Args:
            search: the search function of the space.
            factory: creates trials.
            seeds: the seeds of each configuration.
            num_configurations: the number of configurations, including those of earlier runs.
            direction: whether to maximize or minimize the main metric.
            sampler: the name of the sampler.
            pruner: the name of the pruner.
            sampler_seed: the seed of the sampler.
            known: returns the result of a trial that has finished in another sweep, if any.
            on_invalid: is called for each configuration that cannot run.
        """
        check_name("pruner", pruner, PRUNERS)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.is_adaptive = True
        self._search, self._factory, self._seeds = search, factory, tuple(seeds)
        self._num_configurations = num_configurations
        self._num_asked = 0  # configurations
        self._num_dropped = 0  # trials of pruned configurations that will not run
        self.earlier: list[EarlierTrial] = []  # trials that ended in earlier runs
        self._num_without_run = 0  # configurations that are invalid or were suggested before
        self._num_invalid = 0  # configurations
        self._known, self._on_invalid = known, on_invalid
        self._by_trial: dict[str, _Configuration] = {}
        # Id of the first seed's trial -> state and value that Optuna got.
        self._completed: dict[str, tuple[TrialState, float | None]] = {}
        self._queue: deque[Trial] = deque()
        self._sampler, self._sampler_seed = sampler, sampler_seed
        self.study = optuna.create_study(
            direction=direction,
            sampler=make_sampler(sampler, sampler_seed),
            pruner=make_pruner(pruner),
        )

    # --- restoring --------------------------------------------------------------------------------

    def restore(self, past: Sequence[PastConfiguration]) -> None:
        """Restore the study from earlier runs, and queue unfinished trials.

        Outdated configurations are ignored (see ``restore_configuration``).
        """
        unfinished = []
        for configuration in past:
            restored = restore_configuration(
                configuration, self._search, self._factory, self._seeds
            )
            if isinstance(restored, RestoredConfiguration):
                self.study.add_trial(restored.trial)
                self._num_asked += 1
                self._num_without_run += not restored.is_valid
                self._num_invalid += not restored.is_valid
                self._completed[restored.first_id] = (restored.trial.state, restored.trial.value)
                if restored.is_valid:
                    self._add_earlier(configuration)
                    self._num_dropped += sum(s not in configuration.trials for s in self._seeds)
            elif restored == "unfinished":
                unfinished.append(configuration)
                self._add_earlier(configuration)
        # With the same seed, the sampler would repeat the suggestions of the first run.
        self.study.sampler = make_sampler(
            self._sampler, self._sampler_seed + self._num_asked + len(unfinished)
        )
        for configuration in unfinished:
            self.study.enqueue_trial(dict(configuration.params))
            self._ask(configuration.trials)

    def _add_earlier(self, past: PastConfiguration) -> None:
        self.earlier += [
            EarlierTrial(
                configuration=Configuration(values={**past.params, SEED: seed}),
                status=trial.status,
                value=trial.value,
            )
            for seed, trial in past.trials.items()
            if trial.status != "interrupted" and seed in self._seeds
        ]

    # --- suggesting -------------------------------------------------------------------------------

    def suggest(self, limit: int) -> list[Trial]:
        """Return trials of the queued configurations, then of new ones."""
        while len(self._queue) < limit and self._num_asked < self._num_configurations:
            self._ask({})
        return [self._queue.popleft() for _ in range(min(limit, len(self._queue)))]

    def _ask(self, past: Mapping[int, PastTrial]) -> None:
        """Ask Optuna for a configuration and queue its trials without a known result."""
        optuna_trial = self.study.ask()
        self._num_asked += 1
        try:
            values = call_search(self._search, optuna_trial)
            trials = [make_trial(self._factory, values, seed) for seed in self._seeds]
        except InvalidConfigurationError as error:
            self._num_without_run += 1
            self._num_invalid += 1
            self.study.tell(optuna_trial, state=TrialState.FAIL)
            self._on_invalid(error)
            return
        first = trials[0].id
        if first in self._completed or first in self._by_trial:
            self._reuse(optuna_trial, first)
            return
        configuration = _Configuration(
            optuna_trials=[optuna_trial], unfinished={t.id for t in trials}, first_id=first
        )
        self._by_trial |= dict.fromkeys(configuration.unfinished, configuration)
        for trial in trials:
            known = past.get(trial.seed) or self._known(trial)
            if known is not None and trial.id == first:
                for at, value in known.steps.items():  # the pruner has seen them already
                    self._report(configuration, at, value)
            if known is not None and known.status in ("finished", "failed"):
                self.on_trial_complete(
                    trial, known.value if known.status == "finished" else None, stopped=False
                )
            else:
                self._queue.append(trial)

    def _reuse(self, optuna_trial: optuna.Trial, first: str) -> None:
        """Use the result of a configuration that was suggested before, instead of a new run."""
        self._num_without_run += 1
        if first in self._completed:
            state, value = self._completed[first]
            value = value if state is TrialState.COMPLETE else None
            self.study.tell(optuna_trial, value, state=state)
        else:
            self._by_trial[first].optuna_trials.append(optuna_trial)

    def is_exhausted(self) -> bool:
        """Return whether all trials were suggested."""
        return not self._queue and self._num_asked >= self._num_configurations

    def total(self) -> int:
        """Return the total number of trials, over all configurations and seeds."""
        num_trials = (self._num_configurations - self._num_without_run) * len(self._seeds)
        return num_trials - self._num_dropped

    def num_left_out(self) -> int:
        """Return the number of planned trials without a row in the results.

        These are trials of pruned, invalid and repeated configurations. An invalid configuration
        has one row, regardless of the number of seeds.
        """
        planned = self._num_configurations * len(self._seeds)
        return planned - self.total() - self._num_invalid

    # --- results ----------------------------------------------------------------------------------

    @staticmethod
    def _report(configuration: _Configuration, at: int, value: float) -> None:
        configuration.steps.append(at)
        configuration.optuna_trials[0].report(value, at)

    def on_trial_result(self, trial: Trial, at: int, value: float, last: bool) -> bool:
        """Report a step to Optuna; return whether the configuration is pruned.

        Only steps of the first seed are reported. The last step of a single seed is never pruned,
        because the configuration is complete.
        """
        configuration = self._by_trial.get(trial.id)
        if configuration is None:
            return False
        is_first = trial.id == configuration.first_id
        if not configuration.pruned and is_first and at not in configuration.steps:
            self._report(configuration, at, value)
            if not (last and len(self._seeds) == 1):
                configuration.pruned = configuration.optuna_trials[0].should_prune()
        if configuration.pruned:
            self._drop_queued(configuration)
        return configuration.pruned

    def _drop_queued(self, configuration: _Configuration) -> None:
        dropped = {t.id for t in self._queue if t.id in configuration.unfinished}
        self._queue = deque(t for t in self._queue if t.id not in dropped)
        configuration.unfinished -= dropped
        self._num_dropped += len(dropped)
        for trial_id in dropped:
            del self._by_trial[trial_id]

    def on_trial_complete(self, trial: Trial, value: float | None, stopped: bool) -> None:
        """Record the value of a trial, and tell Optuna when all seeds have ended."""
        configuration = self._by_trial.pop(trial.id, None)
        if configuration is None:
            return
        configuration.unfinished.discard(trial.id)
        if value is None:
            configuration.failed = True
        else:
            configuration.values.append(value)
        if not configuration.unfinished:
            self._complete(configuration)

    def _complete(self, configuration: _Configuration) -> None:
        state, value = TrialState.COMPLETE, None
        if configuration.failed or not configuration.values:
            state = TrialState.FAIL
        elif configuration.pruned:
            state = TrialState.PRUNED
        else:
            value = statistics.fmean(configuration.values)
        self._completed[configuration.first_id] = (state, value)
        for optuna_trial in configuration.optuna_trials:
            self.study.tell(optuna_trial, value, state=state)
