"""The default name of a sweep: one space, settings, model and data."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import toy_results

from orchestrator.running.naming import MAX_LENGTH, Identity, choose_name, default_name
from results.storage.manifest import Manifest
from results.storage.store import SweepStore
from tasks.contract import RequestError, Source

DEFAULTS = {"model": "default", "data": "scenes", "sampler": "tpe", "pruner": "halving"}
PLAIN = Identity(
    space="paper",
    file=None,
    file_hash=None,
    settings={},
    search={},
    model=Source(name="default", fingerprint="m"),
    data=Source(name="scenes", fingerprint="d"),
)


def changed(**values: Any) -> Identity:
    return dataclasses.replace(PLAIN, **values)


def manifest(identity: Identity, **changes: Any) -> Manifest:
    made = toy_results.manifest(**changes)
    return dataclasses.replace(
        made, request=identity.record(), model=identity.model, data=identity.data
    )


OTHER_MODEL = changed(model=Source(name="/b/clip", fingerprint="other"))
OTHERS = {
    "space": changed(space="grid"),
    "setting": changed(settings={"epochs": 2}),
    "setting's value": changed(settings={"epochs": 3}),
    "model": OTHER_MODEL,
    "pair": changed(model=Source(name="/a/vit+/b/bert", fingerprint="pair")),
    "other pair": changed(model=Source(name="/a/clip+/b/bert", fingerprint="pair 2")),
    "data": changed(data=Source(name="folder:/photos", fingerprint="photos")),
    "sampler": changed(space="search", search={"sampler": "random", "pruner": "halving"}),
    "pruner": changed(space="search", search={"sampler": "tpe", "pruner": "median"}),
    "search": changed(space="search", search={"sampler": "tpe", "pruner": "halving"}),
    "file": changed(space="mine", file="/a/mine.py", file_hash="1"),
}


def test_different_requests_have_different_names() -> None:
    names = [default_name(one, DEFAULTS) for one in (PLAIN, *OTHERS.values())]
    assert len(set(names)) == len(names)
    assert names[0] == "paper"
    assert default_name(OTHERS["setting"], DEFAULTS) == "paper-epochs-2"
    assert default_name(OTHERS["other pair"], DEFAULTS) == "paper-clip-bert"
    hub = Source(name=f"hub:lab/photos@{'01' * 20},val=0.1", fingerprint="d")
    assert default_name(changed(data=hub), DEFAULTS) == "paper-photos-val-0.1"


@pytest.mark.parametrize("name", OTHERS)
def test_differences_between_requests_are_found(name: str) -> None:
    other = OTHERS[name]
    assert other.differences(manifest(other)) == []
    assert PLAIN.differences(manifest(other))
    assert other.differences(manifest(PLAIN))


def test_order_of_settings_does_not_matter() -> None:
    one, other = (
        changed(settings={"a": 1, "b": None}),
        changed(settings={"b": None, "a": 1}),
    )
    assert default_name(one, DEFAULTS) == default_name(other, DEFAULTS) == "paper-a-1-b-none"
    assert one.differences(manifest(other)) == []


def test_long_name_is_shortened_and_stays_unique() -> None:
    one, other = (
        changed(settings={"prompt": "a picture of " * 20, "seed": seed}) for seed in (1, 2)
    )
    names = [default_name(each, DEFAULTS) for each in (one, other)]
    assert len(set(names)) == 2
    assert all(len(name) <= MAX_LENGTH + 7 for name in names)


def test_space_file_may_move_or_change_but_not_both() -> None:
    here = OTHERS["file"]
    moved = dataclasses.replace(here, file="/b/mine.py")
    edited = dataclasses.replace(here, file_hash="2")
    assert moved.differences(manifest(here)) == []
    assert edited.differences(manifest(here)) == []
    assert dataclasses.replace(moved, file_hash="2").differences(manifest(here)) == [
        "with /a/mine.py, not /b/mine.py"
    ]
    built_in = dataclasses.replace(here, file=None, file_hash=None)
    assert built_in.differences(manifest(here)) == ["with /a/mine.py, not the task's own space"]


def test_sweep_without_a_recorded_request_compares_what_it_has() -> None:
    old = dataclasses.replace(manifest(PLAIN), space="report", request=None)
    assert PLAIN.differences(old) == []
    assert OTHERS["setting"].differences(old) == []
    assert OTHERS["data"].differences(old) == ["with the data scenes, not folder:/photos"]


def test_models_with_the_same_last_name_get_different_names(tmp_path: Path) -> None:
    first = changed(model=Source(name="/a/clip", fingerprint="first"))
    store = SweepStore(str(tmp_path), "toy", "paper-clip", {})
    store.write_manifest(manifest(first, name="paper-clip"))
    place: dict[str, Any] = {"defaults": DEFAULTS, "out": str(tmp_path), "task": "toy"}
    assert choose_name(first, given=None, **place).name == "paper-clip"
    chosen = choose_name(OTHER_MODEL, given=None, **place)
    assert chosen.name.startswith("paper-clip-")
    assert "toy/paper-clip was started with the model /a/clip, not /b/clip" in chosen.notice
    assert choose_name(OTHER_MODEL, given=None, **place).name == chosen.name
    with pytest.raises(RequestError, match="with the model /a/clip, not /b/clip; use another"):
        choose_name(OTHER_MODEL, given="paper-clip", **place)
