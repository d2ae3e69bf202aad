"""Rebuilds trials from their rows, so that they can be exported, scored or run again.

A row holds everything that a trial's id hashes. So no space file is needed, and an equal id proves
that the rebuilt trial is the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.planning import task_calls
from results.storage.manifest import Manifest
from tasks.contract import DataError, RequestError, Source, StoreError, Task, Trial, content_id


@dataclass(frozen=True, kw_only=True)
class RecordedSweep:
    """A sweep whose trials run again under another name."""

    manifest: Manifest
    digest: str  # hash of its archive; only a replay of the same archive continues a replay
    stops: Mapping[str, int] = field(default_factory=dict)  # trial id -> last step before a stop


def recorded_trial(task: Task, row: Mapping[str, Any]) -> Trial:
    """Rebuild the trial of a row of ``trials``.

    Args:
        task: the task that ran it.
        row: one row, with all ``param.*`` columns.

    Raises:
        StoreError: if this version of the task makes another trial of the row.
    """
    trial_id = row["trial_id"]
    if row["version"] != task.version:
        raise StoreError(
            f"trial {trial_id} ran with version {row['version']} of {task.name}, but this is "
            f"version {task.version}; use the code that ran it, or run the sweep again"
        )
    values = {
        name.removeprefix("param."): value
        for name, value in row.items()
        if name.startswith("param.")
    }
    try:
        params = task.Params(**values)
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"the parameters of trial {trial_id} do not fit this version of {task.name}: {error}; "
            "use the code that ran it, or run the sweep again"
        ) from None
    trial = Trial(
        task=task.name,
        version=row["version"],
        params=params,
        seed=row["seed"],
        model=Source(name=row["model"], fingerprint=row["model_fingerprint"]),
        data=Source(name=row["data"], fingerprint=row["data_fingerprint"]),
    )
    if trial_id not in (trial.id, _earlier_id(trial)):
        raise StoreError(
            f"the row of trial {trial_id} gives another trial, {trial.id}, because the row or "
            f"{task.name} has changed; use the code that ran it, or run the sweep again"
        )
    return trial


def _earlier_id(trial: Trial) -> str:
    """Return the trial's id before version 0.2, which hashed the names of model and data too."""
    fields = {f.name: getattr(trial, f.name) for f in dataclasses.fields(trial)}
    named = {name: dataclasses.asdict(fields[name]) for name in ("model", "data")}
    return content_id(fields | named)


def check_sources(task: Task, trial: Trial) -> None:
    """Check that the trial's model and data are unchanged on this machine.

    Raises:
        RequestError: if one of them is missing, or its content differs from the sweep's.
    """
    found = task_calls.resolve(task, trial.model.name, trial.data.name)
    for kind, recorded, here in zip(
        ("model", "data"), (trial.model, trial.data), found, strict=True
    ):
        _check_source(kind, recorded, here)


def check_model(task: Task, trial: Trial) -> None:
    """Check that the trial's model is unchanged on this machine, even if its data is missing.

    Raises:
        RequestError: if the model is missing, or its content differs from the sweep's.
    """
    try:
        # The default data is usually built in, and cheaper to resolve than the sweep's data.
        model, _ = task_calls.resolve(task, trial.model.name, task.default_data)
    except DataError:
        model, _ = task_calls.resolve(task, trial.model.name, trial.data.name)
    _check_source("model", trial.model, model)


def check_data(task: Task, trial: Trial) -> None:
    """Check that the trial's data is unchanged on this machine, even if its model is missing.

    Raises:
        RequestError: if the data is missing, or its content differs from the sweep's.
    """
    # The default model is usually built in: nothing is downloaded to look at data.
    _, data = task_calls.resolve(task, task.default_model, trial.data.name)
    _check_source("data", trial.data, data)


def _check_source(kind: str, recorded: Source, here: Source) -> None:
    if here.fingerprint != recorded.fingerprint:
        raise RequestError(
            f"the {kind} {recorded.name} has changed since the sweep: its content hash is "
            f"{here.fingerprint}, but was {recorded.fingerprint}; restore the {kind}, or run "
            "the sweep again"
        )
