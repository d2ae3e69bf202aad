"""A searcher that suggests trials with an Optuna study. Imports Optuna.

The study is in memory, and is restored from the Parquet tables when a search is resumed. One Optuna
trial is one configuration, which runs with every seed. Optuna gets the mean over the seeds. The
pruner compares the steps of first seeds, or for ``SEED_PRUNERS`` the final values seed by seed.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import optuna
from optuna.trial import FrozenTrial, TrialState

from orchestrator.planning.labels import SEED, Configuration, EarlierTrial
from orchestrator.planning.objectives import Direction, Objective
from orchestrator.planning.plan import TrialFactory
from orchestrator.planning.spaces import Search
from orchestrator.search.function import InvalidConfigurationError, call_search, make_trial
from orchestrator.search.history import PastConfiguration, PastTrial
from orchestrator.search.options import PRUNERS, SEED_PRUNERS, check_name
from orchestrator.search.pruners import OwnTrialsPruner, make_pruner
from orchestrator.search.restore import (
    RestoredConfiguration,
    mean_values,
    restore_configuration,
)
from orchestrator.search.samplers import make_sampler
from tasks.contract import Trial


@dataclass(kw_only=True, slots=True)
class _Configuration:
    """A configuration and its trials, one per seed."""

    optuna_trials: list[optuna.Trial]  # more than one if Optuna suggests it again while it runs
    unfinished: set[str]  # ids of trials that have not ended
    values: list[tuple[float, ...]] = field(default_factory=list)  # of trials that have finished
    first_id: str  # of the trial with the first seed
    steps: list[int] = field(default_factory=list)  # reported to Optuna; seeds for SEED_PRUNERS
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
        objectives: Sequence[Objective] = (),
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
            objectives: the metrics to optimize together; empty for the main metric alone.
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
        self._compares_seeds = pruner in SEED_PRUNERS
        self._objectives = tuple(each.name for each in objectives)
        self.directions = [each.direction for each in objectives] or [direction]
        self._num_configurations = num_configurations
        self._num_asked = 0  # configurations
        self._num_dropped = 0  # trials of pruned configurations that will not run
        self.earlier: list[EarlierTrial] = []  # trials that ended in earlier runs
        self._num_without_run = 0  # configurations that are invalid or were suggested before
        self._num_invalid = 0  # configurations
        self._known, self._on_invalid = known, on_invalid
        self._by_trial: dict[str, _Configuration] = {}  # unfinished trials
        self._running: dict[str, _Configuration] = {}  # unfinished configurations, by first_id
        # Id of the first seed's trial -> state and values that Optuna got.
        self._completed: dict[str, tuple[TrialState, list[float] | None]] = {}
        self._queue: deque[Trial] = deque()
        self._sampler, self._sampler_seed = sampler, sampler_seed
        self.study = optuna.create_study(
            directions=self.directions,
            sampler=make_sampler(sampler, sampler_seed),
            pruner=make_pruner(pruner),
        )

    def learn_from(self, trials: Sequence[FrozenTrial]) -> None:
        """Let the sampler, but not the pruner, learn from trials of other sweeps."""
        if trials:
            self.study.add_trials(trials)
            self.study.pruner = OwnTrialsPruner(self.study.pruner)

    # --- restoring --------------------------------------------------------------------------------

    def restore(self, past: Sequence[PastConfiguration]) -> None:
        """Restore the study from earlier runs, and queue unfinished trials.

        Outdated configurations are ignored (see ``restore_configuration``).
        """
        unfinished = []
        for configuration in past:
            restored = restore_configuration(
                configuration,
                self._search,
                self._factory,
                self._seeds,
                compares_seeds=self._compares_seeds,
                objectives=self._objectives,
            )
            if isinstance(restored, RestoredConfiguration):
                self.study.add_trial(restored.trial)
                self._num_asked += 1
                self._num_without_run += not restored.is_valid
                self._num_invalid += not restored.is_valid
                self._completed[restored.first_id] = (restored.trial.state, restored.trial.values)
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
        if first in self._completed or first in self._running:
            self._reuse(optuna_trial, first)
            return
        configuration = _Configuration(
            optuna_trials=[optuna_trial], unfinished={t.id for t in trials}, first_id=first
        )
        self._running[first] = configuration
        self._by_trial |= dict.fromkeys(configuration.unfinished, configuration)
        for trial in trials:
            known = past.get(trial.seed) or self._known(trial)
            if known is not None:
                self._report_known(configuration, trial, known)
            if known is not None and known.status in ("finished", "failed", "cancelled"):
                metrics = known.metrics if known.status == "finished" else None
                self.on_trial_complete(trial, metrics, stopped=False)
            else:
                self._queue.append(trial)

    def _reuse(self, optuna_trial: optuna.Trial, first: str) -> None:
        """Use the result of a configuration that was suggested before, instead of a new run."""
        self._num_without_run += 1
        if first in self._completed:
            state, values = self._completed[first]
            values = values if state is TrialState.COMPLETE else None
            self.study.tell(optuna_trial, values, state=state)
        else:
            self._running[first].optuna_trials.append(optuna_trial)

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
    def _report(configuration: _Configuration, step: int, value: float) -> None:
        configuration.steps.append(step)
        configuration.optuna_trials[0].report(value, step)

    def _report_known(self, configuration: _Configuration, trial: Trial, known: PastTrial) -> None:
        """Report an earlier trial, without asking the pruner again."""
        if self._objectives:
            return
        if self._compares_seeds:
            if known.status == "finished" and known.value is not None:
                self._report(configuration, trial.seed, known.value)
        elif trial.id == configuration.first_id:
            for at, value in known.steps.items():
                self._report(configuration, at, value)

    def on_trial_result(self, trial: Trial, at: int, value: float, last: bool) -> bool:
        """Report a step to Optuna; return whether the configuration is pruned.

        Only steps of the first seed are reported, or for ``SEED_PRUNERS`` the last step of each
        seed. A configuration that is complete with this step is never pruned, and none is if the
        search optimizes several metrics.
        """
        configuration = self._by_trial.get(trial.id)
        if configuration is None or self._objectives:
            return False
        is_reported = last if self._compares_seeds else trial.id == configuration.first_id
        step = trial.seed if self._compares_seeds else at
        if not configuration.pruned and is_reported and step not in configuration.steps:
            self._report(configuration, step, value)
            num_left = len(configuration.unfinished if self._compares_seeds else self._seeds)
            if not (last and num_left == 1):
                configuration.pruned = _should_prune(configuration.optuna_trials[0])
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

    def on_trial_complete(
        self, trial: Trial, metrics: Mapping[str, float] | None, stopped: bool
    ) -> None:
        """Record the metrics of a trial, and tell Optuna when all seeds have ended.

        A trial that lacks a metric that the search optimizes counts as failed for it.
        """
        configuration = self._by_trial.pop(trial.id, None)
        if configuration is None:
            return
        configuration.unfinished.discard(trial.id)
        names = self._objectives or (self._factory.task.metric.name,)
        if metrics is None or not (stopped or metrics.keys() >= set(names)):
            configuration.failed = True
        elif not stopped:
            configuration.values.append(tuple(metrics[name] for name in names))
        if not configuration.unfinished:
            self._complete(configuration)

    def _complete(self, configuration: _Configuration) -> None:
        state, values = TrialState.COMPLETE, None
        if configuration.failed:
            state = TrialState.FAIL
        elif configuration.pruned and not self._compares_seeds:
            state = TrialState.PRUNED
        elif configuration.values:
            # Of a configuration without its last seeds, Optuna learns the mean so far.
            values = mean_values(configuration.values)
        else:
            state = TrialState.FAIL
        del self._running[configuration.first_id]
        self._completed[configuration.first_id] = (state, values)
        for optuna_trial in configuration.optuna_trials:
            self.study.tell(optuna_trial, values, state=state)


def _should_prune(optuna_trial: optuna.Trial) -> bool:
    with warnings.catch_warnings():
        # The best configuration may lack a seed that a later run of the search has added.
        warnings.filterwarnings("ignore", "WilcoxonPruner finds steps", UserWarning)
        return optuna_trial.should_prune()
