"""The adaptive proposer: an Optuna study asked, told, pruned and replayed. Imports Optuna.

The live study is in memory; Parquet is the truth it is rebuilt from (``replay``), and a journal
file beside the tables mirrors it for optuna-dashboard. A configuration is one Optuna trial, run at
every seed: Optuna gets the mean over seeds, and pruning looks at the first seed.
"""

from __future__ import annotations

import statistics
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import optuna
from optuna.trial import TrialState

from orchestrator.planning.labels import SEED, Configuration, EarlierTrial
from orchestrator.planning.plan import Search, TrialFactory
from orchestrator.search.function import InvalidConfigurationError, ask, make_trial
from orchestrator.search.history import PastConfiguration, PastTrial
from orchestrator.search.options import PRUNERS, SAMPLERS, check_name
from orchestrator.search.pruners import make_pruner
from orchestrator.search.replay import Rebuilt, rebuild
from tasks.contract import Trial

Direction = Literal["maximize", "minimize"]


def make_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """The sampler of ``--sampler``."""
    classes: dict[str, Callable[..., optuna.samplers.BaseSampler]] = {
        "tpe": optuna.samplers.TPESampler,
        "random": optuna.samplers.RandomSampler,
        "qmc": optuna.samplers.QMCSampler,
        "nsga2": optuna.samplers.NSGAIISampler,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of qmc
        return classes[name](seed=seed, **SAMPLERS[name])


@dataclass(kw_only=True, slots=True)
class _Configuration:
    """One configuration and its runs, one a seed."""

    asked: list[optuna.Trial]  # more than one where Optuna asks for it again while it runs
    waiting: set[str]  # ids of trials still to end
    values: list[float] = field(default_factory=list)
    first_id: str
    steps: list[int] = field(default_factory=list)
    pruned: bool = False
    failed: bool = False


class AdaptiveStudy:
    """Asks Optuna for configurations until ``num_configurations`` are asked, past ones included."""

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
        """``known`` gives a finished trial's result from another sweep.

        ``on_invalid`` receives each configuration that cannot run.
        """
        check_name("sampler", sampler, SAMPLERS)
        check_name("pruner", pruner, PRUNERS)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.prunes = True
        self._search, self._factory, self._seeds = search, factory, tuple(seeds)
        self._num_configurations = num_configurations
        self._num_asked = 0
        self._num_dropped = 0  # trials of pruned configurations, at seeds that do not run
        self.earlier: list[EarlierTrial] = []  # trials that ended before this run
        self._num_without_run = 0  # of those asked for: invalid, or asked for before
        self._num_invalid = 0
        self._known, self._on_invalid = known, on_invalid
        self._by_trial: dict[str, _Configuration] = {}
        self._told: dict[str, tuple[TrialState, float | None]] = {}  # by the first seed's trial
        self._queue: deque[Trial] = deque()
        self._sampler, self._sampler_seed = sampler, sampler_seed
        self.study = optuna.create_study(
            direction=direction,
            sampler=make_sampler(sampler, sampler_seed),
            pruner=make_pruner(pruner),
        )

    # --- replay -----------------------------------------------------------------------------------

    def replay(self, past: Sequence[PastConfiguration]) -> None:
        """Rebuild the study from what ran before, and queue what was left unfinished.

        Configurations that the search cannot give any more, or that would be other trials now
        (of another version, model or data), are left out.
        """
        unfinished = []
        for configuration in past:
            rebuilt = rebuild(configuration, self._search, self._factory, self._seeds)
            if isinstance(rebuilt, Rebuilt):
                self.study.add_trial(rebuilt.trial)
                self._num_asked += 1
                self._num_without_run += not rebuilt.is_valid
                self._num_invalid += not rebuilt.is_valid
                self._told[rebuilt.first_id] = (rebuilt.trial.state, rebuilt.trial.value)
                if rebuilt.is_valid:
                    self._add_earlier(configuration)
                    self._num_dropped += sum(s not in configuration.trials for s in self._seeds)
            elif rebuilt == "unfinished":
                unfinished.append(configuration)
                self._add_earlier(configuration)
        # The same seed again would first ask for what the first run asked for.
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

    # --- asking -----------------------------------------------------------------------------------

    def propose(self, limit: int) -> list[Trial]:
        """The next trials: seeds of configurations asked for, then further configurations."""
        while len(self._queue) < limit and self._num_asked < self._num_configurations:
            self._ask({})
        return [self._queue.popleft() for _ in range(min(limit, len(self._queue)))]

    def _ask(self, past: Mapping[int, PastTrial]) -> None:
        """Ask for a configuration and queue its trials, less what is known of it."""
        asked = self.study.ask()
        self._num_asked += 1
        try:
            values = ask(self._search, asked)
            trials = [make_trial(self._factory, values, seed) for seed in self._seeds]
        except InvalidConfigurationError as error:
            self._num_without_run += 1
            self._num_invalid += 1
            self.study.tell(asked, state=TrialState.FAIL)
            self._on_invalid(error)
            return
        first = trials[0].id
        if first in self._told or first in self._by_trial:
            self._ask_again(asked, first)
            return
        configuration = _Configuration(
            asked=[asked], waiting={t.id for t in trials}, first_id=first
        )
        self._by_trial |= dict.fromkeys(configuration.waiting, configuration)
        for trial in trials:
            known = past.get(trial.seed) or self._known(trial)
            if known is not None and trial.id == first:
                for at, value in known.steps.items():  # judged when they were made
                    self._report(configuration, at, value)
            if known is not None and known.status in ("finished", "failed"):
                self.finish(
                    trial, known.value if known.status == "finished" else None, stopped=False
                )
            else:
                self._queue.append(trial)

    def _ask_again(self, asked: optuna.Trial, first: str) -> None:
        """A configuration that has run or runs: it does not run twice."""
        self._num_without_run += 1
        if first in self._told:
            state, value = self._told[first]
            self.study.tell(asked, value if state is TrialState.COMPLETE else None, state=state)
        else:
            self._by_trial[first].asked.append(asked)

    def is_over(self) -> bool:
        """Whether every configuration was asked for and handed out."""
        return not self._queue and self._num_asked >= self._num_configurations

    def total(self) -> int:
        """The trials of all configurations, seeds counted."""
        num_trials = (self._num_configurations - self._num_without_run) * len(self._seeds)
        return num_trials - self._num_dropped

    def num_left_out(self) -> int:
        """The planned trials that get no row: of pruned, refused and repeated configurations.

        A refused configuration has one row, whatever the number of seeds.
        """
        planned = self._num_configurations * len(self._seeds)
        return planned - self.total() - self._num_invalid

    # --- results ----------------------------------------------------------------------------------

    @staticmethod
    def _report(configuration: _Configuration, at: int, value: float) -> None:
        configuration.steps.append(at)
        configuration.asked[0].report(value, at)

    def observe(self, trial: Trial, at: int, value: float, last: bool) -> bool:
        """Report a step of a configuration's first seed; whether the pruner stops it.

        The last step of the only seed leaves nothing to stop: the configuration is complete.
        """
        configuration = self._by_trial.get(trial.id)
        if configuration is None:
            return False
        is_first = trial.id == configuration.first_id
        if not configuration.pruned and is_first and at not in configuration.steps:
            self._report(configuration, at, value)
            if not (last and len(self._seeds) == 1):
                configuration.pruned = configuration.asked[0].should_prune()
        if configuration.pruned:
            self._drop_queued(configuration)
        return configuration.pruned

    def _drop_queued(self, configuration: _Configuration) -> None:
        dropped = {t.id for t in self._queue if t.id in configuration.waiting}
        self._queue = deque(t for t in self._queue if t.id not in dropped)
        configuration.waiting -= dropped
        self._num_dropped += len(dropped)
        for trial_id in dropped:
            del self._by_trial[trial_id]

    def finish(self, trial: Trial, value: float | None, stopped: bool) -> None:
        """A run ended; once all seeds of its configuration have, Optuna is told."""
        configuration = self._by_trial.pop(trial.id, None)
        if configuration is None:
            return
        configuration.waiting.discard(trial.id)
        if value is None:
            configuration.failed = True
        else:
            configuration.values.append(value)
        if not configuration.waiting:
            self._tell(configuration)

    def _tell(self, configuration: _Configuration) -> None:
        state, value = TrialState.COMPLETE, None
        if configuration.failed or not configuration.values:
            state = TrialState.FAIL
        elif configuration.pruned:
            state = TrialState.PRUNED
        else:
            value = statistics.fmean(configuration.values)
        self._told[configuration.first_id] = (state, value)
        for asked in configuration.asked:
            self.study.tell(asked, value, state=state)
