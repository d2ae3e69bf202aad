"""The JSON schema of space files agrees with what the reader takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from orchestrator.planning.discovery import load_task
from orchestrator.planning.params import param_types
from orchestrator.planning.space_file import read_space_file
from orchestrator.planning.space_schema import space_schema
from tasks.contract import RequestError

GOOD = (
    "parameters: {lr: {values: [1.0e-5, 1.0e-3]}, epochs: {value: 3}}",
    "method: bayes\nparameters: {lr: {min: 1.0e-5, max: 1.0, log: true}, epochs: {min: 1, max: 9}}",
    "zip: [lr, epochs]\nparameters: {lr: [1.0, 2.0], epochs: [1, 2]}\nseeds: [1, 2]",
    "method: random\nrun_cap: 3\nparameters: {start: {values: [pretrained, random]}}",
)
BAD = (
    "parameters: {}",
    "method: grd\nparameters: {lr: [1.0]}",
    "parameters: {lr: {vals: [1.0]}}",
    "parameters: {start: {min: 1, max: 2}}",
    "seeds: many\nparameters: {lr: [1.0]}",
)


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return space_schema(load_task("retrieval"))


def is_valid(text: str, schema: dict[str, Any]) -> bool:
    return jsonschema.Draft202012Validator(schema).is_valid(yaml.safe_load(text))


def is_read(text: str, folder: Path) -> bool:
    file = folder / "space.yaml"
    file.write_text(text)
    try:
        read_space_file(str(file)).space(param_types(load_task("retrieval").Params))
    except RequestError:
        return False
    return True


@pytest.mark.parametrize("text", GOOD)
def test_a_good_file_is_valid_and_read(text: str, schema: dict[str, Any], tmp_path: Path) -> None:
    assert is_valid(text, schema)
    assert is_read(text, tmp_path)


@pytest.mark.parametrize("text", BAD)
def test_a_mistake_is_invalid_and_refused(
    text: str, schema: dict[str, Any], tmp_path: Path
) -> None:
    assert not is_valid(text, schema)
    assert not is_read(text, tmp_path)


def test_a_value_of_another_type_is_invalid(schema: dict[str, Any]) -> None:
    assert not is_valid("parameters: {epochs: [few]}", schema)
    assert not is_valid("parameters: {epoch: [1]}", schema)


@pytest.mark.parametrize("name", ["retrieval", "captioning", "diffusion", "segmentation"])
def test_the_schema_of_every_task_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(space_schema(load_task(name)))
