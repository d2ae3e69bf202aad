"""Rebuilds the Optuna trials of an earlier run from its results. Imports Optuna."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from optuna.trial import FixedTrial, FrozenTrial, TrialState, create_trial

from orchestrator.planning.plan import TrialFactory
from orchestrator.planning.spaces import Search
from orchestrator.search.function import InvalidConfigurationError, call_search, make_trial
from orchestrator.search.history import PastConfiguration, PastTrial
from tasks.contract import RequestError


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoredConfiguration:
    """A configuration whose trials have ended."""

    trial: FrozenTrial
    first_id: str  # id of the first seed's trial; empty if the configuration is invalid
    is_valid: bool = True


def restore_configuration(
    past: PastConfiguration,
    search: Search,
    factory: TrialFactory,
    seeds: Sequence[int],
    *,
    compares_seeds: bool = False,
    objectives: Sequence[str] = (),
) -> RestoredConfiguration | Literal["unfinished", "outdated"]:
    """Rebuild the Optuna trial of an earlier configuration.

    With ``compares_seeds``, its intermediate values are the final values by seed. ``objectives``
    are the metrics that the search optimizes together, empty for the main metric alone.

    Returns "unfinished" if some seeds have not ended. Returns "outdated" if the search function no
    longer suggests the configuration, or if its trials would have different ids now, because of
    another version, model, data set or ``--set``.
    """
    fixed = FixedTrial(dict(past.params))
    trials = {seed: past.trials[seed] for seed in seeds if seed in past.trials}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # values out of range: create_trial raises an error
            first_id = _first_id(call_search(search, fixed), trials, factory, seeds)
            steps = trials[seeds[0]].steps if seeds[0] in trials else {}
            if compares_seeds:
                steps = {
                    seed: trial.value
                    for seed, trial in trials.items()
                    if trial.status == "finished" and trial.value is not None
                }
            state, values = _state_and_values(
                trials, steps, len(seeds), compares_seeds=compares_seeds, objectives=objectives
            )
            trial = create_trial(
                params=fixed.params,
                distributions=fixed.distributions,
                intermediate_values={} if objectives else dict(steps),
                values=values,
                state=state or TrialState.FAIL,
            )
    except InvalidConfigurationError:
        return _restore_invalid(trials)
    except (ValueError, RequestError):
        return "outdated"
    if state is None:
        return "unfinished"
    return RestoredConfiguration(trial=trial, first_id=first_id)


def _first_id(
    values: Mapping[str, object],
    past: Mapping[int, PastTrial],
    factory: TrialFactory,
    seeds: Sequence[int],
) -> str:
    """Return the id of the first seed's trial.

    Raises:
        ValueError: if the earlier trials have different ids.
    """
    trials = [make_trial(factory, values, seed) for seed in seeds]  # type: ignore[arg-type]
    if any(trial.seed in past and past[trial.seed].id != trial.id for trial in trials):
        raise ValueError("the ids of the trials have changed")
    return trials[0].id


def _restore_invalid(
    trials: Mapping[int, PastTrial],
) -> RestoredConfiguration | Literal["unfinished", "outdated"]:
    """Restore a configuration that the search function or the task rejects.

    If it has failed, it was invalid in the earlier run too.
    """
    if not trials:
        return "unfinished"
    if any(trial.status != "failed" for trial in trials.values()):
        return "outdated"
    # Without parameters, because the suggested ones may differ from those in the row.
    trial = create_trial(state=TrialState.FAIL)
    return RestoredConfiguration(trial=trial, first_id="", is_valid=False)


def _state_and_values(
    trials: Mapping[int, PastTrial],
    steps: Mapping[int, float],
    num_seeds: int,
    *,
    compares_seeds: bool,
    objectives: Sequence[str],
) -> tuple[TrialState | None, list[float] | None]:
    """Return the state and values of an ended configuration, (None, None) if unfinished."""
    ended = [trial for trial in trials.values() if trial.status != "interrupted"]
    pruned = any(trial.status == "stopped" or trial.is_last_seed for trial in ended)
    if not pruned and len(ended) < num_seeds:
        return None, None
    if any(
        trial.status in ("failed", "cancelled")
        or trial.value is None
        or not trial.metrics.keys() >= set(objectives)
        for trial in ended
    ):
        return TrialState.FAIL, None
    if pruned and not compares_seeds:
        return TrialState.PRUNED, list(steps.values())[-1:] or None
    finished = [
        tuple(trial.metrics[name] for name in objectives) or (trial.value,)
        for trial in ended
        if trial.status == "finished" and trial.value is not None
    ]
    return TrialState.COMPLETE, mean_values(finished)


def mean_values(values: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean of each metric over the seeds of a configuration."""
    return [statistics.fmean(of_metric) for of_metric in zip(*values, strict=True)]
