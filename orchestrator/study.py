"""The adaptive proposer: an Optuna study asked, told, pruned and replayed. Imports Optuna.

The live study is in memory; Parquet is the truth it is rebuilt from (``replay``), and a journal
file beside the tables mirrors it for optuna-dashboard. A configuration is one Optuna trial, run at
every seed: what is told is the mean over seeds, and pruning looks at the first seed.
"""

from __future__ import annotations

import dataclasses
import os
import statistics
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import optuna
from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from orchestrator.discovery import suggest
from orchestrator.plan import Search, TrialFactory
from orchestrator.space_checks import shown
from search_spaces.space import Scalar
from tasks.contract import RequestError, Trial

Direction = Literal["maximize", "minimize"]

SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "qmc": lambda seed: optuna.samplers.QMCSampler(seed=seed),
    "nsga2": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
}


@dataclass(kw_only=True, slots=True)
class _Configuration:
    """One Optuna trial and its runs, one a seed."""

    asked: optuna.Trial
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
        sampler_seed: int = 0,
        known_value: Callable[[Trial], float | None] = lambda trial: None,
    ) -> None:
        if sampler not in SAMPLERS:
            raise RequestError(f"--sampler takes {', '.join(SAMPLERS)}, but got {sampler!r}")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.prunes = True
        self._search, self._factory, self._seeds = search, factory, tuple(seeds)
        self._num_configurations = num_configurations
        self._num_asked = 0
        self._known_value = known_value
        self._by_trial: dict[str, list[_Configuration]] = {}
        self._queue: deque[Trial] = deque()
        self._sampler, self._sampler_seed = SAMPLERS[sampler], sampler_seed
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study = optuna.create_study(
                direction=direction,
                sampler=self._sampler(sampler_seed),
                pruner=optuna.pruners.SuccessiveHalvingPruner(),
            )

    def replay(self, past: Sequence[tuple[Mapping[str, Scalar], float | None, bool]]) -> None:
        """Tell the study (params, value, stopped) of configurations that ran before."""
        for params, value, stopped in past:
            fixed = FixedTrial(dict(params))
            try:
                self._search(fixed)
            except ValueError:  # the space has changed since: not a point of it any more
                continue
            state = (
                TrialState.FAIL
                if value is None
                else TrialState.PRUNED
                if stopped
                else TrialState.COMPLETE
            )
            self.study.add_trial(
                create_trial(
                    params=fixed.params,
                    distributions=fixed.distributions,
                    value=value,
                    state=state,
                )
            )
            self._num_asked += 1
        # The same seed again would first ask for what the first run asked for.
        self.study.sampler = self._sampler(self._sampler_seed + self._num_asked)

    def propose(self, limit: int) -> list[Trial]:
        """The next trials: seeds of configurations asked for, then further configurations."""
        while len(self._queue) < limit and self._num_asked < self._num_configurations:
            self._ask()
        return [self._queue.popleft() for _ in range(min(limit, len(self._queue)))]

    def _ask(self) -> None:
        asked = self.study.ask()
        self._num_asked += 1
        values = ask(self._search, asked)
        trials = [self._factory.trial(values, seed) for seed in self._seeds]
        configuration = _Configuration(
            asked=asked, waiting={t.id for t in trials}, first_id=trials[0].id
        )
        for trial in trials:
            running = trial.id in self._by_trial
            known = None if running else self._known_value(trial)
            self._by_trial.setdefault(trial.id, []).append(configuration)
            if known is not None:
                self.finish(trial, known, stopped=False)
            elif not running:
                self._queue.append(trial)

    def is_over(self) -> bool:
        """Whether every configuration was asked for and handed out."""
        return not self._queue and self._num_asked >= self._num_configurations

    def total(self) -> int:
        """The trials of all configurations, seeds counted."""
        return self._num_configurations * len(self._seeds)

    def observe(self, trial: Trial, at: int, value: float, last: bool) -> bool:
        """Report a step of a configuration's first seed; whether successive halving stops it.

        The last step of the only seed leaves nothing to stop: the configuration is complete.
        """
        stop = False
        for configuration in self._by_trial.get(trial.id, []):
            if configuration.pruned:
                stop = True
            elif trial.id == configuration.first_id and at not in configuration.steps:
                configuration.steps.append(at)
                configuration.asked.report(value, at)
                behind = configuration.asked.should_prune()  # others are held against it, too
                configuration.pruned = behind and not (last and len(self._seeds) == 1)
                stop = stop or configuration.pruned
        if stop:
            queued = list(self._queue)
            self._queue = deque(t for t in queued if not self._is_pruned(t))
            for left in {t.id for t in queued} - {t.id for t in self._queue}:
                del self._by_trial[left]  # asked for again, it is to run
        return stop

    def _is_pruned(self, trial: Trial) -> bool:
        configurations = self._by_trial[trial.id]
        pruned = all(c.pruned for c in configurations)
        if pruned:
            for configuration in configurations:
                configuration.waiting.discard(trial.id)
        return pruned

    def finish(self, trial: Trial, value: float | None, stopped: bool) -> None:
        """A run ended; once all seeds of its configuration have, Optuna is told."""
        for configuration in self._by_trial.pop(trial.id, []):
            configuration.waiting.discard(trial.id)
            if value is None:
                configuration.failed = True
            else:
                configuration.values.append(value)
            if not configuration.waiting:
                self._tell(configuration)

    def _tell(self, configuration: _Configuration) -> None:
        if configuration.failed or not configuration.values:
            self.study.tell(configuration.asked, state=TrialState.FAIL)
        elif configuration.pruned:
            self.study.tell(configuration.asked, state=TrialState.PRUNED)
        else:
            self.study.tell(configuration.asked, statistics.fmean(configuration.values))


ASKED = 24  # times that a search is asked before a sweep begins


def check_search(search: Search, factory: TrialFactory) -> None:
    """Ask a search for some configurations of a throw-away study.

    Raises:
        RequestError: saying what it did wrong: a configuration that cannot run, a suggestion that
            is no parameter, or one name with two distributions.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    names = {f.name for f in dataclasses.fields(factory.task.Params)}
    for _ in range(ASKED):
        asked = study.ask()
        factory.trial(ask(search, asked), 0)
        for name in asked.distributions:
            if name not in names:
                raise RequestError(
                    f"the search suggests {name!r}, which is no parameter; "
                    f"{suggest(name, sorted(names))}"
                )


def ask(search: Search, asked: Any) -> Mapping[str, Scalar]:
    """The configuration that a search gives for an Optuna trial.

    Raises:
        RequestError: if it raises, or gives something else.
    """
    try:
        with warnings.catch_warnings():
            # Of one name asked for twice with two ranges, Optuna takes the first and warns.
            warnings.filterwarnings("error", "Inconsistent parameter values", RuntimeWarning)
            values = search(asked)
    except optuna.TrialPruned:
        raise RequestError("the search must not prune: successive halving does") from None
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = getattr(getattr(search, "__code__", None), "co_filename", None)
        lines = [f" at line {frame.lineno} of {own}" for frame in frames if frame.filename == own]
        raise RequestError(
            f"the search function failed{lines[-1] if lines else ''}: "
            f"{type(error).__name__}: {error}; mend it"
        ) from error
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise RequestError(
            f"the search function must return a dict of parameters, but returned {shown(values)}"
        )
    return values


def mirror(trials: Sequence[FrozenTrial], direction: Direction, path: str, name: str) -> None:
    """Write a finished study to a journal file that ``optuna-dashboard PATH`` opens."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    beside = f"{path}.{os.getpid()}.tmp"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = JournalStorage(JournalFileBackend(beside))
        study = optuna.create_study(storage=storage, study_name=name, direction=direction)
        study.add_trials([t for t in trials if t.state.is_finished()])
    os.replace(beside, path)
