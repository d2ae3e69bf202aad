"""Parameters made from values."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Literal, cast

import pytest

from orchestrator.planning.params import make_params
from tasks.contract import RequestError, Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    optimizer: Literal["sgd", "adam"] = "sgd"
    level: Literal[1, 2] | None = None
    rate: float | None = None


TASK = cast(Task, SimpleNamespace(name="other", Params=Params))


def test_values_of_a_literal_are_accepted() -> None:
    made = make_params(TASK, {"optimizer": "adam", "level": None, "rate": 3})
    assert made == Params(optimizer="adam", level=None, rate=3.0)
    assert make_params(TASK, {"level": 2}).level == 2


def test_a_value_outside_of_a_literal_is_refused() -> None:
    with pytest.raises(RequestError) as error:
        make_params(TASK, {"optimizer": "rmsprop"})
    assert str(error.value) == "optimizer must be 'sgd' or 'adam', but got 'rmsprop'"
    with pytest.raises(RequestError) as error:
        make_params(TASK, {"level": 3})
    assert str(error.value) == "level must be 1, 2 or None, but got 3"
