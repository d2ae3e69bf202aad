"""Writes the weights of a finished trial, on the worker that ran it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.planning.space_checks import shown
from orchestrator.saving.checkpoints import serialize
from results.storage.weights import WeightStore, seal_weights
from tasks.contract import State, SweepError, Task, Trial, TrialError


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedWeights:
    """The result of writing a trial's weights."""

    num_bytes: int = 0  # size of the file, 0 if there is none
    error: str = ""  # why the weights could not be written


def write_weights(
    store: WeightStore | None, task: Task, trial: Trial, state: State
) -> SavedWeights:
    """Write the weights that the task keeps of a finished trial.

    An error is returned, not raised, because the trial's results do not depend on its weights.
    """
    if store is None:
        return SavedWeights()
    try:
        arrays = chosen_weights(task, trial, state)
        if not arrays:
            return SavedWeights()
        blob = encode_weights(trial, arrays, state.values)
        store.write(trial.id, blob)
    except SweepError as error:
        return SavedWeights(error=str(error))
    except Exception as error:  # from the task's method, or from serialization
        return SavedWeights(error=f"{type(error).__name__}: {error}")
    return SavedWeights(num_bytes=len(blob))


def chosen_weights(task: Task, trial: Trial, state: State) -> Mapping[str, Any]:
    """Return the arrays that the task keeps of a finished state, empty if it has no weights.

    Raises:
        TrialError: if ``task.weights`` did not return a dict of arrays.
    """
    if not task.has_weights:
        return {}
    chosen: object = task.weights(trial, state)
    if not isinstance(chosen, Mapping) or not all(isinstance(name, str) for name in chosen):
        raise TrialError(f"weights must return a dict of arrays by name, but got {shown(chosen)}")
    wrong = [name for name, array in chosen.items() if not hasattr(array, "dtype")]
    if wrong:
        raise TrialError(
            f"weights must return numpy arrays or torch tensors, but {wrong[0]!r} is "
            f"{shown(chosen[wrong[0]])}"
        )
    return chosen


def encode_weights(trial: Trial, arrays: Mapping[str, Any], values: Mapping[str, Any]) -> bytes:
    """Return the content of a trial's weight file."""
    metadata = {
        "task": trial.task,
        "version": trial.version,
        "trial_id": trial.id,
        "seed": trial.seed,
        "params": trial.param_values(),
        "model": dataclasses.asdict(trial.model),
        "data": dataclasses.asdict(trial.data),
        "values": dict(values),
    }
    return seal_weights(serialize(arrays), metadata)
