"""Trials rebuilt from their rows, so that what a sweep ran can be exported, scored or run again.

A row holds all that a trial's id hashes. Rebuilding a trial therefore needs no space file, and the
id proves that nothing was lost on the way.
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
    """A finished sweep whose trials run again, under another name."""

    manifest: Manifest  # its ``sweep.json``
    digest: str  # of its archive: only a replay of the same one continues a replay
    stops: Mapping[str, int] = field(default_factory=dict)  # trial id -> step it was stopped after


def recorded_trial(task: Task, row: Mapping[str, Any]) -> Trial:
    """The trial that a row of ``trials`` is of.

    Args:
        task: the task that ran it.
        row: one row, with all ``param.*`` columns.

    Raises:
        StoreError: if this version of the task cannot make the same trial.
    """
    trial_id = row["trial_id"]
    if row["version"] != task.version:
        raise StoreError(
            f"trial {trial_id} ran with version {row['version']} of {task.name}, and this is "
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
            f"the parameters of trial {trial_id} do not fit this {task.name}: {error}; use the "
            "code that ran it, or run the sweep again"
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
            f"the row of trial {trial_id} makes another trial, {trial.id}: it was changed, or "
            f"{task.name} was; use the code that ran it, or run the sweep again"
        )
    return trial


def _earlier_id(trial: Trial) -> str:
    """The id that versions before 0.2 gave the trial: it had the paths of model and data in it."""
    fields = {f.name: getattr(trial, f.name) for f in dataclasses.fields(trial)}
    named = {name: dataclasses.asdict(fields[name]) for name in ("model", "data")}
    return content_id(fields | named)


def check_sources(task: Task, trial: Trial) -> None:
    """Look up the trial's model and data on this machine.

    Raises:
        RequestError: if one of them is missing here, or has other content than in the sweep.
    """
    found = task_calls.resolve(task, trial.model.name, trial.data.name)
    for kind, recorded, here in zip(
        ("model", "data"), (trial.model, trial.data), found, strict=True
    ):
        _check_source(kind, recorded, here)


def check_model(task: Task, trial: Trial) -> None:
    """Look up the trial's model on this machine, where its data may be missing.

    Raises:
        RequestError: if it is missing here, or has other content than in the sweep.
    """
    try:
        # The default data are built in, as a rule, and cheaper to look up than the sweep's.
        model, _ = task_calls.resolve(task, trial.model.name, task.default_data)
    except DataError:
        model, _ = task_calls.resolve(task, trial.model.name, trial.data.name)
    _check_source("model", trial.model, model)


def _check_source(kind: str, recorded: Source, here: Source) -> None:
    if here.fingerprint != recorded.fingerprint:
        raise RequestError(
            f"the {kind} {recorded.name} has changed since the sweep: its content hash is "
            f"{here.fingerprint}, and was {recorded.fingerprint}; restore the {kind}, or run "
            "the sweep again"
        )
