"""A function's signature gives the parameters of its task."""

from __future__ import annotations

import dataclasses
import pickle
import typing
from collections.abc import Callable
from typing import Any, Literal

import pytest

from orchestrator.functions.declaration import shared, task
from orchestrator.functions.finding import find_space, find_task
from orchestrator.functions.signature import read_signature
from orchestrator.planning.plan import TrialFactory
from orchestrator.planning.settings import parse_settings
from tasks.contract import RequestError, Source, Stage


def draw(split: str, scale: float = 1.0) -> dict[str, float]:
    return {"mean": len(split) * scale}


@task(metric="accuracy", maximize=True, columns=["loss"], steps="epochs")
def train(  # type: ignore[no-untyped-def]
    lr: float = 1e-3,
    epochs: int = 3,
    head: Literal["linear", "mlp"] = "linear",
    augment: bool = False,
    dropout: float | None = None,
    note: str = "",
    width=64,
    *,
    seed: int,
    device: str,
    data: dict[str, float] = shared(draw, split="train"),
) -> dict[str, float]:
    return {"accuracy": lr * data["mean"]}


SOURCE = Source(name="none", fingerprint="1")


def factory(function: Callable[..., Any], **fixed: Any) -> TrialFactory:
    return TrialFactory(task=find_task(function), model=SOURCE, data=SOURCE, fixed=fixed)


def test_types_and_defaults() -> None:
    found = read_signature(train)
    assert found.special == ("seed", "device")
    assert list(found.shared) == ["data"]
    assert dataclasses.asdict(found.params()) == {
        "lr": 1e-3,
        "epochs": 3,
        "head": "linear",
        "augment": False,
        "dropout": None,
        "note": "",
        "width": 64,
    }
    hints = typing.get_type_hints(found.params)
    assert (hints["lr"], hints["width"], hints["dropout"]) == (float, int, float | None)


def test_parameters_are_the_same_class_again_and_can_be_pickled() -> None:
    params = read_signature(train).params
    assert read_signature(train).params is params
    one = params(lr=0.1, head="mlp")
    again = pickle.loads(pickle.dumps(one))
    assert again == one
    assert type(again) is params


def test_an_integer_default_of_a_number_is_that_number() -> None:
    def fit(lr: float = 1, *, most: float | None = 2) -> float:
        return lr

    params = read_signature(fit).params()
    assert [type(params.lr), type(params.most)] == [float, float]


def test_settings_are_read_by_the_types() -> None:
    found = find_task(train)
    settings = ["lr=1e-2", "augment=yes", "dropout=none", "head=mlp", "epochs=5"]
    assert parse_settings(found, settings).fixed == {
        "lr": 0.01,
        "augment": True,
        "dropout": None,
        "head": "mlp",
        "epochs": 5,
    }
    assert parse_settings(found, {"lr": 1}).fixed == {"lr": 1.0}
    with pytest.raises(RequestError, match="has no parameter 'learning_rate'; did you mean 'lr'"):
        parse_settings(found, ["learning_rate=1"])
    with pytest.raises(RequestError, match="epochs must be int, but got 'x'"):
        parse_settings(found, {"epochs": "x"})


def test_what_the_task_declares() -> None:
    found = find_task(train)
    assert (found.name, found.metric.name, found.metric.direction) == (
        "train",
        "accuracy",
        "maximize",
    )
    assert [c.key for c in found.columns][-2:] == ["metric.accuracy", "metric.loss"]
    assert found.step_unit == "epoch"
    assert found.num_steps(factory(train, epochs=7).trial({}, 0)) == 7


def test_shared_work_is_a_stage_of_the_trial() -> None:
    def scaled(scale: float, seed: int, base: Any = shared(draw, split="val")) -> Any:
        return base

    @task(metric="error", maximize=False)
    def fit(scale: float = 2.0, *, seed: int, data: Any = shared(scaled)) -> float:
        return 0.0

    trial = factory(fit).trial({"scale": 3.0}, 1)
    (stage,) = find_task(fit).stages(trial)
    assert isinstance(stage, Stage)
    assert stage.args == {"scale": 3.0, "seed": 1}
    (need,) = stage.needs
    # An argument that is named like a parameter of the trial is taken from it.
    assert need.args == {"split": "val", "scale": 3.0}
    assert stage.function({"mean": 1.0}, **stage.args) == {"mean": 1.0}
    other = find_task(fit).stages(factory(fit).trial({"scale": 4.0}, 1))[0]
    assert other.key != stage.key


def refused(function: Any, **more: Any) -> str:
    options: dict[str, Any] = {"metric": "a", "maximize": True} | more
    with pytest.raises(RequestError) as caught:
        find_task(function, **options)
    return str(caught.value)


def test_errors_say_what_to_write() -> None:
    def no_default(lr: float, *, seed: int) -> float:
        return lr

    def untyped(lr=None):  # type: ignore[no-untyped-def]
        return lr

    def wrong_type(layers: list[int] = 3) -> float:  # type: ignore[assignment]
        return 0.0

    def wrong_default(layers: Any = [1, 2]) -> float:  # noqa: B006
        return 0.0

    def wrong_value(head: Literal["a", "b"] = "c") -> float:  # type: ignore[assignment]
        return 0.0

    def unknown_type(lr: Missing = 1.0) -> float:  # type: ignore[name-defined]  # noqa: F821
        return 0.0

    def starred(**params: float) -> float:
        return 0.0

    async def awaited(lr: float = 1.0) -> float:
        return lr

    assert "no default; add one: lr: float = ..." in refused(no_default)
    assert "has the default None and no type" in refused(untyped)
    assert "layers has the type list[int]; use str, int" in refused(wrong_type)
    assert "the default of the parameter layers of wrong_default is [1, 2]" in refused(
        wrong_default
    )
    assert "head must be Literal['a', 'b'], but is 'c'" in refused(wrong_value)
    assert "the type Missing of the parameter lr of unknown_type cannot be resolved" in refused(
        unknown_type
    )
    assert "takes **params, but a search space needs named parameters" in refused(starred)
    assert "awaited is async" in refused(awaited)
    assert "pass a function that was defined with def" in refused(lambda lr=1.0: lr)
    assert "must be a name or a function, but is 3" in refused(3)


def test_the_metric_must_be_named() -> None:
    def fit(lr: float = 1.0) -> float:
        return lr

    message = refused(fit, metric=None, maximize=None)
    assert '@orc.task(metric="accuracy", maximize=True)' in message
    assert "--metric NAME with --maximize or --minimize" in message
    assert "does not declare whether to maximize loss" in refused(fit, metric="loss", maximize=None)
    given = find_task(fit, "loss", False)
    assert (given.metric.name, given.metric.direction) == ("loss", "minimize")
    other = find_task(train, "loss", False)
    assert (other.metric.name, other.metric.direction) == ("loss", "minimize")
    assert "metric.accuracy" in {column.key for column in other.columns}
    assert "are for functions; the task 'toy' has its own metric" in refused("toy")


def test_seeds_need_a_parameter() -> None:
    @task(metric="error", maximize=False)
    def fit(lr: float = 1.0) -> float:
        return lr

    factory(fit).trial({}, 0)
    with pytest.raises(RequestError, match=r"add one, `def fit\(\.\.\., \*, seed: int\)`"):
        factory(fit).trial({}, 1)


def test_errors_in_shared_work() -> None:
    def fit(lr: float = 1.0, *, data: Any = shared(draw, splitt="train")) -> float:
        return lr

    def lacking(lr: float = 1.0, *, data: Any = shared(draw)) -> float:
        return lr

    def not_plain(lr: float = 1.0, *, data: Any = shared(draw, split={1, 2})) -> float:
        return lr

    assert (
        "draw, which orc.shared calls, has no parameter 'splitt'; did you mean 'split'?"
        in refused(fit)
    )
    assert (
        "orc.shared(draw) lacks the argument 'split'; write orc.shared(draw, split=...)"
        in refused(lacking)
    )
    assert "must be plain values, but those of draw are {'split': {1, 2}}" in refused(not_plain)


def test_steps_names_a_parameter() -> None:
    @task(metric="error", maximize=False, steps="epoch")
    def fit(epochs: int = 1) -> float:
        return 0.0

    assert "steps='epoch' is not a parameter of fit; did you mean 'epochs'?" in refused(
        fit, metric=None, maximize=None
    )


def test_without_a_space_the_defaults_run() -> None:
    found = find_space(find_task(train), None)
    assert found.name == "defaults"
    assert [row.params for table in found.tables for row in table.rows] == [{}]
