"""Spaces in YAML, in the shape of W&B's sweep configurations."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.planning.axes import Range
from orchestrator.planning.axes_spec import read_axes, to_spec
from orchestrator.planning.space_file import read_space_file
from tasks.contract import RequestError

KINDS: dict[str, tuple[type, bool]] = {
    "lr": (float, False),
    "epochs": (int, False),
    "optimizer": (str, False),
}


def write(folder: Path, text: str) -> str:
    path = folder / "sweep.yaml"
    path.write_text(text)
    return str(path)


def test_a_grid_of_values(tmp_path: Path) -> None:
    file = read_space_file(
        write(tmp_path, "parameters: {lr: {values: [1e-5, 1e-3]}, epochs: {value: 3}}")
    )
    space = file.space(KINDS)
    assert space.name == "sweep"
    assert [row.params for row in space.tables[0].rows] == [
        {"lr": 1e-5, "epochs": 3},
        {"lr": 1e-3, "epochs": 3},
    ]


def test_a_search_with_everything_that_it_can_say(tmp_path: Path) -> None:
    text = """
program: train.py:train
method: bayes
metric: {name: accuracy, goal: maximize}
parameters:
  optimizer: {values: [adam, sgd]}
  epochs: {min: 1, max: 9}
  lr: {distribution: log_uniform_values, min: 1e-5, max: 1e-2, conditions: {optimizer: adam}}
seeds: [1, 2]
run_cap: 7
early_terminate: {type: hyperband, min_iter: 3}
project: ignored
"""
    file = read_space_file(write(tmp_path, text))
    assert (file.program, file.metric, file.maximize) == ("train.py:train", "accuracy", True)
    assert (file.seeds, file.trials, file.pruner) == ((1, 2), 7, "hyperband")
    assert file.space(KINDS).search is not None


def test_lists_alone_are_a_search_with_method_random(tmp_path: Path) -> None:
    file = read_space_file(
        write(tmp_path, "method: random\nparameters: {lr: {values: [1.0, 2.0]}}")
    )
    assert file.space(KINDS).search is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr: [1, 2]", "has no mapping under parameters:"),
        ("method: grd\nparameters: {lr: [1]}", "method takes grid, random, bayes"),
        (
            "metod: grid\nparameters: {lr: [1]}",
            "has the unknown key 'metod'; did you mean 'method'",
        ),
        ("parameters: {lr: {min: 1}}", "max of lr must be a number"),
        ("parameters: {lr: {min: 1, max: 0}}", "`low < high` must hold"),
        ("parameters: {lr: {vals: [1]}}", "lr has the unknown key 'vals'"),
        ("parameters: {lr: {values: [1], value: 2}}", "lr must have either values"),
        ("parameters: {lr: {distribution: normal, mu: 0}}", "'mu'|distribution"),
        ("parameters: {epochs: {min: 0.5, max: 2.5}}", "epochs is an integer"),
        ("parameters: {optimizer: {min: 1, max: 2}}", "optimizer is not a number"),
        ("parameters: {lr: {min: 1.0, max: 2.0}}\nmethod: grid", "method grid requires values"),
        ("parameters: {}", "has no parameters"),
        ("metric: accuracy\nparameters: {lr: [1]}", "must have a name and a goal"),
        ("seeds: many\nparameters: {lr: [1]}", "seeds must be a number or a list"),
        ("run_cap: 0\nparameters: {lr: [1]}", "run_cap must be at least 1"),
        ("early_terminate: {type: x}\nparameters: {lr: [1]}", "takes type: hyperband"),
        (
            "parameters: {lr: {values: [1], conditions: {epochs: 3}}, epochs: [3]}",
            "must be a parameter of the space before lr",
        ),
    ],
)
def test_mistakes_are_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=message):
        read_space_file(write(tmp_path, text)).space(KINDS)


def test_axes_come_back_from_their_plain_form() -> None:
    parameters = {
        "optimizer": ["adam", "sgd"],
        "lr": {"min": 1e-5, "max": 1e-2, "log": True, "conditions": {"optimizer": "adam"}},
        "epochs": {"min": 1, "max": 9, "step": 2},
    }
    axes = read_axes(parameters, KINDS)
    assert axes.values["lr"] == Range(low=1e-5, high=1e-2, log=True)
    assert read_axes(to_spec(axes), KINDS) == axes
