"""A configuration that ran before as the trial that a live study would hold. Imports Optuna."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from orchestrator.planning.plan import Search, TrialFactory
from orchestrator.search.function import InvalidConfigurationError, ask, make_trial
from orchestrator.search.history import PastConfiguration, PastTrial
from tasks.contract import RequestError


@dataclass(frozen=True, kw_only=True, slots=True)
class Rebuilt:
    """An ended configuration."""

    trial: FrozenTrial
    first_id: str  # of its first seed's trial; empty where the task refuses the values
    is_valid: bool = True


def rebuild(
    past: PastConfiguration, search: Search, factory: TrialFactory, seeds: Sequence[int]
) -> Rebuilt | Literal["unfinished", "foreign"]:
    """The ended configuration; ``unfinished`` if seeds are left to run.

    It is ``foreign`` if the search cannot give it any more, or if its trials would have other ids
    now: of another version, model or data, or with another ``--set``.
    """
    fixed = FixedTrial(dict(past.params))
    trials = {seed: past.trials[seed] for seed in seeds if seed in past.trials}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a value outside its range: create_trial refuses it
            first_id = _first_id(ask(search, fixed), trials, factory, seeds)
            steps = trials[seeds[0]].steps if seeds[0] in trials else {}
            state, value = _outcome(trials, steps, len(seeds))
            trial = create_trial(
                params=fixed.params,
                distributions=fixed.distributions,
                intermediate_values=dict(steps),
                value=value,
                state=state or TrialState.FAIL,
            )
    except InvalidConfigurationError:
        return _invalid(trials)
    except (ValueError, RequestError):
        return "foreign"
    return "unfinished" if state is None else Rebuilt(trial=trial, first_id=first_id)


def _first_id(
    values: Mapping[str, object],
    past: Mapping[int, PastTrial],
    factory: TrialFactory,
    seeds: Sequence[int],
) -> str:
    """The id of the first seed's trial.

    Raises:
        ValueError: if the past trials were others.
    """
    trials = [make_trial(factory, values, seed) for seed in seeds]  # type: ignore[arg-type]
    if any(trial.seed in past and past[trial.seed].id != trial.id for trial in trials):
        raise ValueError("these are other trials now")
    return trials[0].id


def _invalid(trials: Mapping[int, PastTrial]) -> Rebuilt | Literal["unfinished", "foreign"]:
    """Asked for again, the configuration would fail again; if it failed, it was this search's."""
    if not trials:
        return "unfinished"
    if any(trial.status != "failed" for trial in trials.values()):
        return "foreign"
    # Without parameters: the row has what the task refused, which need not be what was suggested.
    return Rebuilt(trial=create_trial(state=TrialState.FAIL), first_id="", is_valid=False)


def _outcome(
    trials: Mapping[int, PastTrial], steps: Mapping[int, float], num_seeds: int
) -> tuple[TrialState | None, float | None]:
    """The values a live study would have reported to Optuna; (None, None) while it waits."""
    ended = [trial for trial in trials.values() if trial.status != "interrupted"]
    pruned = any(trial.status == "stopped" or trial.is_last_seed for trial in ended)
    if not pruned and len(ended) < num_seeds:
        return None, None
    if any(trial.status == "failed" or trial.value is None for trial in ended):
        return TrialState.FAIL, None
    if pruned:
        return TrialState.PRUNED, list(steps.values())[-1] if steps else None
    return TrialState.COMPLETE, statistics.fmean(t.value for t in ended if t.value is not None)
