"""Task methods that fail while a sweep is planned."""

from __future__ import annotations

import re
from typing import Any

import pytest
from toy_variants import draw, make_factory, variant

from orchestrator.planning import task_calls
from tasks.contract import RequestError, Source, Stage


def fail(*_: Any) -> Any:
    raise KeyError("lr")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalize": lambda self, trial: None}, "must return the trial (`return trial`), but"),
        (
            {"normalize": fail},
            r"normalize of the task 'toy' failed at \S+, line \d+: KeyError: 'lr'",
        ),
        ({"stages": lambda self, trial: [draw]}, "must return a list of Stage"),
        (
            {"stages": lambda self, trial: [Stage(function=lambda: None)]},
            "must be defined at module level",
        ),
        (
            {"stages": lambda self, trial: [Stage(function=draw, args={"split": {1}})]},
            "args of the stage draw of 'toy' must be plain values",
        ),
        ({"pack_key": lambda self, trial: []}, "must return a hashable value"),
        (
            {"max_pack_size": lambda self, trial: 0},
            "must return an int of at least 1 or None, but returned 0",
        ),
        (
            {"estimate_memory": lambda self, trial: None},
            "needs, an int of at least 0, but returned None",
        ),
    ],
)
def test_failing_task_method_is_a_request_error(changes: dict[str, Any], message: str) -> None:
    task = variant(**changes)
    with pytest.raises(RequestError) as refused:
        task_calls.try_methods(task, make_factory(task).trial({}, 0))
    assert re.search(message if "\\" in message else re.escape(message), str(refused.value))


DATA = Source(name="none", fingerprint="1")


def test_task_may_depend_on_the_data() -> None:
    task = variant()
    assert task_calls.for_data(task, DATA) is task
    other = variant(version="other")
    assert task_calls.for_data(variant(for_data=lambda self, data: other), DATA) is other


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (lambda self, data: None, r"must return a task \(`return self`\), but returned None"),
        (fail, r"for_data of the task 'toy' failed at \S+, line \d+: KeyError: 'lr'"),
    ],
)
def test_failing_for_data_is_a_request_error(method: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        task_calls.for_data(variant(for_data=method), DATA)
