"""Declarations of a task: each mistake is one line that says what to fix."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from toy_sweep.task import ToyTask
from toy_variants import variant

from orchestrator.planning.task_checks import check_task, problems
from tasks.contract import (
    Column,
    Metric,
    PerSampleMetric,
    RequestError,
    Task,
)


@dataclasses.dataclass(kw_only=True)
class Thawed:
    degree: int = 3
    lr: float = 0.1


@dataclasses.dataclass(frozen=True)
class Positional:
    degree: int = 3
    lr: float = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Odd:
    degree: list[int]
    lr: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Misfit:
    degree: int = None  # type: ignore[assignment]
    lr: float | None = "fast"  # type: ignore[assignment]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picky:
    degree: int = 3
    lr: float = 0.1

    def __post_init__(self) -> None:
        raise ValueError("degree is too high")


class Plain:
    degree = 3


ERROR = Column(key="metric.error", label="squared error")
DEGREE = Column(key="param.degree", label="degree")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Params": Thawed}, "Params is not frozen"),
        ({"Params": Positional}, "Params is not keyword-only"),
        ({"Params": Odd}, "the parameter degree has the type list[int]; use str, int, float"),
        ({"Params": Odd}, "the parameter lr has no default"),
        ({"Params": Misfit}, "the default of the parameter degree must be int, but is None"),
        ({"Params": Misfit}, "the default of the parameter lr must be float | None, but is 'fast'"),
        ({"Params": Picky}, "Params() with its defaults raises ValueError: degree is too high"),
        ({"Params": Plain}, "Params is not a dataclass"),
        ({"Params": 3}, "Params must be a class, but is 3"),
        ({"version": 1}, "its version must be a non-empty string, but is 1"),
        ({"name": "game"}, "its name is 'game', but it is declared as 'toy'"),
        ({"metric": "error"}, "its metric must be a Metric, but is 'error'"),
        (
            {"metric": Metric(name="error", label="", direction="min")},  # type: ignore[arg-type]
            "direction of its metric must be maximize or minimize, but is 'min'",
        ),
        ({"columns": (ERROR, Column(key="param.degre", label="d"))}, "did you mean 'param.degree'"),
        ({"columns": (ERROR, Column(key="degree", label="d"))}, "must be param.<field of Params>"),
        ({"columns": (ERROR, ERROR)}, "two columns have the key 'metric.error'"),
        (
            {"columns": (DEGREE,), "per_sample": ()},
            "its metric 'error' has no column (metric.error)",
        ),
        ({"columns": ERROR}, "its columns must be a tuple of Column, but are Column("),
        ({"columns": ("metric.error",)}, "must be a tuple of Column, but one is 'metric.error'"),
        (
            {"columns": (dataclasses.replace(ERROR, format="int"),)},
            "format of the column 'squared error' must be percent",
        ),
        (
            {"per_sample": (PerSampleMetric(metric="eror", unit="point", value="v"),)},
            "per_sample names the metric 'eror', which has no column; did you mean 'error'?",
        ),
        (
            {
                "per_sample": (
                    PerSampleMetric(metric="error", unit="p", value="v", aggregate="max"),
                )
            },
            "aggregate of per_sample 'error'",
        ),
        (
            {"per_sample": PerSampleMetric(metric="error", unit="p", value="v")},
            "a tuple of one item is written (item,)",
        ),
        ({"pareto_front": ("error", "speed")}, "its pareto_front must be two metrics of its"),
        (
            {"other_metrics": (Metric(name="speed", label="speed", direction="maximize"),)},
            "other_metrics names the metric 'speed', which has no column",
        ),
        (
            {"metric_params": {"error": "lrr"}},
            "its metric_params names 'lrr', which is not a field of Params; did",
        ),
        (
            {"metric_params": {"speed": "lr"}},
            "metric_params names the metric 'speed', which has no column",
        ),
        ({"metric_params": "lr"}, "its metric_params must be a dict, but are 'lr'"),
        ({"other_metrics": ("error",)}, "its other_metrics must be a tuple of Metric, but"),
        ({"pareto_front": 2}, "its pareto_front must be two metrics of its columns, but is 2"),
        ({"scoring_params": "lr"}, "its scoring_params must be a tuple of names, but are 'lr'"),
        (
            {"scoring_params": ("lrr",)},
            "its scoring_params names 'lrr', which is not a field of Params; did",
        ),
        ({"shown_samples": "point"}, "its shown_samples must be a tuple of names, but are 'point'"),
        ({"step_unit": ""}, "its step_unit must be a non-empty string"),
        ({"tolerance": 1}, "its tolerance must be at least 0 and below 1, but is 1"),
        ({"shares_steps": "no"}, "its shares_steps must be True or False, but is 'no'"),
        ({"schedule_length": "epoch"}, "is not a field of Params; did you mean 'epochs'?"),
        ({"example_params": {"degree": 1}}, "its example_params must be a tuple of dicts"),
        (
            {"example_params": ({"degre": 1},)},
            "example_params names 'degre', which is not a field of Params",
        ),
        ({"start": lambda self, trial: None}, "its method start takes (trial), but must accept"),
        ({"step": lambda self, trial: None}, "its method step takes (trial), but must accept"),
        ({"num_steps": 20}, "its num_steps must be a method, `def num_steps(self, trial)`"),
        ({"final": lambda self, trial: trial}, "must accept `def final(self, trial, split)`"),
        ({"warnings": ("slow",)}, "its warnings must be a method"),
        ({"estimate_memory": 1024}, "its estimate_memory must be a method"),
        ({"weights": None}, "set has_weights = False for a task without weights"),
        ({"check": lambda self, trial: trial}, "its check is now named normalize; rename it"),
        ({"num_bytes": lambda self, trial: 1}, "its num_bytes is now named estimate_memory"),
        ({"front": ("error", "error")}, "its front is now named pareto_front"),
        (
            {"example_param": ({},)},
            "'example_param' is not a member of Task; did you mean 'example_params'?",
        ),
        ({"normalise": lambda self, trial: trial}, "did you mean 'normalize'? rename it, or"),
        ({"signature": dict}, "'signature' is not a member of Task; did you mean 'signatures'?"),
    ],
)
def test_wrong_declaration_is_refused_with_a_fix(changes: dict[str, Any], message: str) -> None:
    assert any(message in problem for problem in problems(variant(**changes), "toy"))
    with pytest.raises(RequestError, match="the task 'toy'"):
        check_task(variant(**changes), "toy")


def test_task_instance_passes_and_a_class_is_refused() -> None:
    check_task(ToyTask(), "toy")
    assert "write TASK = ToyTask()" in problems(ToyTask)[0]


class Bare(Task):
    """A task that defines nothing."""

    name = "bare"


def test_missing_attributes_are_listed() -> None:
    found = problems(Bare(), "bare")
    assert any(line.startswith("it has no columns; add columns =") for line in found)
    assert "it has no method step; add `def step(self, trial, state, inputs, device)`" in found
    with pytest.raises(RequestError, match=r"test_task_checks\.py, line \d+\).*\d+ more"):
        check_task(Bare(), "bare")


def test_class_that_does_not_inherit_from_task_is_refused() -> None:
    old = type("Old", (), {"check": lambda self, trial: trial, "paired": ()})()
    first, *others = problems(old, "old")
    assert first.startswith("its class Old is not a subclass of Task; write `class Old(Task):`")
    assert [line.partition(";")[0] for line in others] == [
        "its check is now named normalize",
        "its paired is now named per_sample",
    ]


@pytest.mark.parametrize(("name", "meant"), [("stage", "stages"), ("weight", "weights")])
def test_misspelled_attribute_is_reported_unless_the_correct_one_exists(
    name: str, meant: str
) -> None:
    def method(self: Any, trial: Any, state: Any = None) -> Any:
        return {}

    bare = {"step": ToyTask.step, **{k: getattr(ToyTask, k) for k in ("Params", "metric")}}
    bare |= {"name": "toy", "columns": ToyTask.columns, "start": ToyTask.start}
    (line,) = problems(type("Misspelled", (Task,), {**bare, name: method})(), "toy")
    assert f"{name!r} is not a member of Task; did you mean {meant!r}?" in line
    assert not problems(type("Helper", (Task,), {**bare, name: method, meant: method})(), "toy")
    assert not problems(variant(helper=method, num_points=3, steps=3, stat=2), "toy")
