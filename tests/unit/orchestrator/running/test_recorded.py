"""Trials rebuilt from their rows in the results."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from paths import STORED

from orchestrator.planning.discovery import load_task
from orchestrator.running.recorded import check_sources, recorded_trial
from results.storage.reading import read_sweep
from tasks.contract import RequestError, Source, StoreError, content_id


@pytest.fixture
def toy_row() -> dict[str, Any]:
    return read_sweep(str(STORED), "toy", "stored").rows()[0]


def test_a_row_of_another_task_version_is_refused(toy_row: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match=r"ran with version 0 of toy, but this is version"):
        recorded_trial(load_task("toy"), toy_row | {"version": "0"})


def test_a_row_with_an_unknown_parameter_is_refused(toy_row: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="do not fit this version of toy"):
        recorded_trial(load_task("toy"), toy_row | {"param.nonsense": 1})


def test_a_changed_row_is_refused(toy_row: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match=f"row of trial {toy_row['trial_id']} gives another"):
        recorded_trial(load_task("toy"), toy_row | {"seed": 77})


def test_a_changed_model_is_refused(toy_row: dict[str, Any]) -> None:
    task = load_task("toy")
    trial = recorded_trial(task, toy_row)
    other = Source(name=trial.model.name, fingerprint="0")
    with pytest.raises(RequestError, match=r"the model .* has changed since the sweep"):
        check_sources(task, dataclasses.replace(trial, model=other))


def test_id_of_a_row_of_an_earlier_version_includes_the_data_path(
    toy_row: dict[str, Any],
) -> None:
    task = load_task("toy")
    moved = toy_row | {"data": "folder:/data/sine"}
    trial = recorded_trial(task, toy_row)
    named = {
        "task": "toy",
        "version": trial.version,
        "params": trial.params,
        "seed": trial.seed,
        "model": {"name": trial.model.name, "fingerprint": trial.model.fingerprint},
        "data": {"name": "folder:/data/sine", "fingerprint": trial.data.fingerprint},
    }
    rebuilt = recorded_trial(task, moved | {"trial_id": content_id(named)})
    assert rebuilt.id == recorded_trial(task, moved | {"trial_id": rebuilt.id}).id
    with pytest.raises(StoreError, match="gives another trial"):
        recorded_trial(task, moved | {"trial_id": content_id(named)[::-1]})
