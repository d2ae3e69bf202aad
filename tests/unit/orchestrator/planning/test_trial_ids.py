"""The id of a trial: task, version, parameters, seed, and bytes of model and data."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from captioned_folder import draw_folder
from paths import ROOT

from orchestrator.planning.discovery import load_task
from orchestrator.planning.plan import TrialFactory
from tasks.contract import Source, content_id

SHIPPED = ROOT / "tasks" / "assets" / "blip-scenes"


def flip_a_byte(file: Path, position: int) -> None:
    """Change the content but not the length, and the time by less than a coarse clock shows."""
    times = os.stat(file)
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns + 1))


def trial_id(model: Path, data: Path) -> str:
    task = load_task("retrieval")
    sources = task.resolve(str(model), f"folder:{data}")
    factory = TrialFactory(task=task, model=sources[0], data=sources[1], fixed={"batch_size": 2})
    return factory.trial({}, 0).id


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    model = tmp_path / "model"
    shutil.copytree(SHIPPED, model)
    (tmp_path / "data").mkdir()
    return model, draw_folder(tmp_path / "data", train=4, val=3)


def test_copy_in_another_folder_has_the_same_trial_id(
    places: tuple[Path, Path], tmp_path: Path
) -> None:
    before = trial_id(*places)
    moved = tmp_path / "elsewhere"
    for place in places:
        shutil.copytree(place, moved / f"other-{place.name}")
    assert trial_id(moved / "other-model", moved / "other-data") == before


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("/models/vit", True),
        ("folder:/b", True),
        ("folder:/b,val=0.1", True),  # what is held out is part of the fingerprint
        ("/m/vit+/m/bert", True),
        ("scenes:pretrain", False),
        ("some/model", False),
        ("package.module:factory", False),
    ],
)
def test_paths_in_source_names_do_not_change_the_id(name: str, same: bool) -> None:
    other = {True: re.sub(r"/\w+", "/elsewhere", name), False: f"{name}x"}[same]
    ids = {content_id(Source(name=each, fingerprint="1")) for each in (name, other)}
    assert (len(ids) == 1) is same


@pytest.mark.parametrize(
    "change",
    [
        lambda model, data: flip_a_byte(model / "model.safetensors", -1),
        lambda model, data: (model / "tokenizer.json").open("a").write("\n"),
        lambda model, data: flip_a_byte(data / "val" / "1.png", -20),
        lambda model, data: flip_a_byte(data / "train" / "captions.jsonl", 40),
    ],
    ids=["a weight", "the vocabulary", "a picture", "a caption"],
)
def test_changed_byte_of_model_or_data_changes_the_id(
    places: tuple[Path, Path], change: Callable[[Path, Path], object]
) -> None:
    before = trial_id(*places)
    assert trial_id(*places) == before
    change(*places)
    assert trial_id(*places) != before


def test_fingerprint_ignores_the_location(places: tuple[Path, Path], tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(places[1], moved)
    ours, theirs = (
        load_task("retrieval").resolve(str(places[0]), f"folder:{d}")[1] for d in (places[1], moved)
    )
    assert ours.fingerprint == theirs.fingerprint


def test_version_seed_and_parameters_change_the_id() -> None:
    task = load_task("retrieval")
    model, data = task.resolve(task.default_model, task.default_data)
    factory = TrialFactory(task=task, model=model, data=data, fixed={})
    trial = factory.trial({"lr": 1e-3}, 0)
    others = [
        replace(trial, version="another"),
        factory.trial({"lr": 1e-3}, 1),
        factory.trial({"lr": 1e-2}, 0),
        factory.trial({"lr": 1e-3, "num_captions": 1}, 0),
        factory.trial({"lr": 1e-3, "ties": "strict"}, 0),
    ]
    assert len({trial.id, *(other.id for other in others)}) == 6
    assert factory.trial({"lr": 0.001}, 0).id == trial.id


def test_id_of_an_untrained_trial_depends_on_evaluation_parameters_only() -> None:
    task = load_task("retrieval")
    model, data = task.resolve(task.default_model, task.default_data)
    factory = TrialFactory(task=task, model=model, data=data, fixed={"epochs": 0})
    rows: list[dict[str, Any]] = [{}, {"num_captions": 1}, {"ties": "strict"}]
    assert len({factory.trial(row, 0).id for row in rows}) == 3
    assert factory.trial({"lr": 1e-2, "augment": False}, 0).id == factory.trial({}, 0).id
