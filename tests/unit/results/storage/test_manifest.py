"""``sweep.json`` as a typed manifest: round trips, older, newer and damaged files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import golden_sweeps
import pytest
from paths import STORED
from toy_results import PARAMS, manifest, result

from results.storage.manifest import Manifest
from results.storage.manifest_parts import NumberSide, RowSide
from results.storage.reading import known_trials, read_sweep
from results.storage.schema import VERSION
from results.storage.store import SweepStore
from tasks.contract import StoreError


@pytest.mark.parametrize(
    ("task", "space"),
    [
        ("retrieval", "paper"),
        ("captioning", "search"),
        ("diffusion", "grid"),
    ],
)
def test_written_manifest_is_read_back(tmp_path: Path, task: str, space: str) -> None:
    made = golden_sweeps.GoldenSweep(task=task, name="s", space=space)
    read = golden_sweeps.make_sweep(tmp_path, made).manifest
    written = (tmp_path / task / "s" / "sweep.json").read_text()
    assert read.to_text() == written
    assert Manifest.from_json(written) == Manifest.from_json(json.loads(written)) == read
    assert json.loads(written)["schema"] == VERSION
    assert read.main_column.key == read.main_key == f"metric.{read.metric.name}"
    assert bool(read.search) == (space == "search")
    assert bool(read.tables) == bool(read.claims) == (space == "paper")


def test_manifest_round_trip() -> None:
    made = dataclasses.replace(manifest(), as_read={})
    assert Manifest.from_json(made.to_text()) == made


def test_schema_1_gets_defaults_and_keeps_its_keys() -> None:
    text = (STORED / "toy" / "stored" / "sweep.json").read_text()
    read = Manifest.from_json(text)
    assert (read.version, read.request, read.environment, read.keep) == (None, None, None, None)
    assert (read.step_unit, read.tolerance, read.scoring_params) == ("step", 0.0, ())
    assert read.paired[0].aggregate == "mean"
    assert [type(side) for side in read.claims[0].sides] == [RowSide, RowSide]
    again = read.to_json()
    assert Manifest.from_json(again) == read
    before = json.loads(text)
    assert {key: again[key] for key in before} == before | {"schema": VERSION}


def test_formula_of_an_older_version_is_read_as_aggregate() -> None:
    paired = {"metric": "r1", "unit": "image", "value": "x", "at_most": None, "where": {}}
    read = manifest(paired=[paired | {"formula": "bleu4"}])
    assert read.paired[0].aggregate == "bleu4"
    assert read.to_json()["paired"] == [paired | {"formula": "bleu4"}]


def test_unknown_keys_are_written_back() -> None:
    content = manifest().to_json()
    content["carbon"] = {"kilograms": 1.5}
    content["metric"]["unit"] = "%"
    content["columns"][1]["tooltip"] = "recall"
    read = Manifest.from_json(content)
    assert read == manifest()
    assert read.to_json() == content
    # A replaced value is written as this version knows it; other keys are kept.
    columns = read.columns[::-1]
    changed = dataclasses.replace(read, columns=columns).to_json()
    assert (changed["carbon"], changed["metric"]["unit"]) == ({"kilograms": 1.5}, "%")
    assert not any("tooltip" in column for column in changed["columns"])


def test_a_number_may_be_one_side_of_a_claim() -> None:
    row = {"label": "a", "metric": "r1", "params": {"lr": 0.1}, "published": None}
    claim = {"text": "t", "kind": "stated", "relation": ">", "margin": 0}
    read = manifest(claims=[claim | {"left": row, "right": {"number": 0.5}}])
    (found,) = read.claims
    assert found.right == NumberSide(number=0.5)
    assert (found.left.published, found.right.published) == (None, 0.5)
    with pytest.raises(StoreError, match="its claim 't' refers to no row"):
        manifest(claims=[claim | {"left": {"number": 1.0}, "right": {"number": 0.5}}])


DAMAGED: dict[str, tuple[dict[str, Any], str]] = {
    "a text for a number": ({"seconds": "long"}, "its 'seconds' must be a number, but is 'long'"),
    "true for a number": ({"seconds": True}, "its 'seconds' must be a number, but is True"),
    "a share for a count": ({"num_trials": 1.5}, "its 'num_trials' must be an integer, but is 1.5"),
    "a mapping for a list": ({"columns": {}}, "its 'columns' must be a list, but is {}"),
    "a number in a list": ({"seeds": [0, "1"]}, r"its 'seeds\[1\]' must be an integer, but is '1'"),
    "a missing key inside": ({"model": {"name": "m"}}, "its 'model.fingerprint' is missing"),
    "an unknown word": (
        {"metric": {"name": "r1", "label": "", "direction": "up"}},
        "its 'metric.direction' must be one of maximize, minimize, but is 'up'",
    ),
    "a list of parameters": (
        {"tables": [{"title": "", "note": "", "rows": [{"params": {"a": []}, "report": {}}]}]},
        r"its 'tables\[0\].rows\[0\].params.a' must be a string, but is \[\]",
    ),
    "null for a text": ({"task": None}, "its 'task' must be a string, but is None"),
    "another metric": (
        {"metric": {"name": "x", "label": "", "direction": "minimize"}},
        "none of its 'columns' is the metric 'x'",
    ),
    "a front of another metric": ({"front": ["r1", "x"]}, "none of its 'columns' is the metric"),
    "a long value": ({"seeds": "x" * 99}, r"must be a list, but is '[x]{39}\.\.\.\)"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_manifest_is_refused_with_the_key(name: str) -> None:
    changes, message = DAMAGED[name]
    with pytest.raises(StoreError, match=message) as found:
        manifest(**changes)
    line = str(found.value)
    assert line.startswith("sweep.json is damaged (")
    assert line.endswith("); run the sweep again, or move its folder away")
    assert "\n" not in line


@pytest.mark.parametrize("field", dataclasses.fields(Manifest), ids=lambda field: field.name)
def test_keys_of_every_version_are_required(field: dataclasses.Field[Any]) -> None:
    content = manifest().to_json() | {"request": None}
    if field.name == "as_read":
        return
    del content[field.name]
    is_needed = (field.default, field.default_factory) == (dataclasses.MISSING,) * 2
    if is_needed:
        with pytest.raises(StoreError, match=rf"its '{field.name}' is missing"):
            Manifest.from_json(content)
    else:
        assert Manifest.from_json(content) == manifest()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000, b"\xff", '{"schema": "a"}'])
def test_text_that_is_not_a_manifest_is_refused(text: str | bytes) -> None:
    with pytest.raises(StoreError, match=r"^a/sweep.json is damaged \(.*\); run the sweep again"):
        Manifest.from_json(text, "a/sweep.json")


def test_newer_schema_is_refused() -> None:
    with pytest.raises(StoreError, match=r"a/sweep.json has schema 9, .*: update the project"):
        Manifest.from_json({"schema": 9}, "a/sweep.json")


def test_trials_are_found_despite_a_damaged_manifest(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.add([result(1)])
    (tmp_path / "toy" / "s" / "sweep.json").write_text("{")
    assert known_trials(str(tmp_path), "toy")["t1"][0] == "s"
    with pytest.raises(StoreError, match=r"toy/s/sweep.json is damaged"):
        read_sweep(str(tmp_path), "toy", "s")
