"""Lists and ranges: what they expand to, and what is refused."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.planning.axes import (
    Axes,
    AxesSearch,
    Axis,
    Range,
    parse_range,
    split_list,
    unquote,
)
from tasks.contract import RequestError


def test_a_grid_is_the_product_of_its_lists_in_order() -> None:
    axes = Axes(values={"lr": (0.1, 0.2), "epochs": (1, 2)})
    assert axes.rows() == [
        {"lr": 0.1, "epochs": 1},
        {"lr": 0.1, "epochs": 2},
        {"lr": 0.2, "epochs": 1},
        {"lr": 0.2, "epochs": 2},
    ]
    assert axes.name == "grid-lr-epochs"


def test_zipped_lists_vary_together() -> None:
    values: dict[str, Axis] = {"lr": (0.1, 0.2), "head": ("a", "b"), "decay": (0.0, 1.0)}
    rows = Axes(values=values, zipped=(("lr", "decay"),)).rows()
    assert [(row["lr"], row["decay"], row["head"]) for row in rows] == [
        (0.1, 0.0, "a"),
        (0.1, 0.0, "b"),
        (0.2, 1.0, "a"),
        (0.2, 1.0, "b"),
    ]


def test_zipped_lists_may_repeat_a_value() -> None:
    rows = Axes(values={"lr": (1, 1, 2), "epochs": (1, 2, 3)}, zipped=(("lr", "epochs"),)).rows()
    assert [row["lr"] for row in rows] == [1, 1, 2]


def test_a_parameter_keeps_its_default_where_its_condition_fails() -> None:
    axes = Axes(
        values={"decoding": ("greedy", "sample"), "top_k": (10, 50)},
        conditions={"top_k": {"decoding": ("sample",)}},
    )
    assert axes.rows() == [
        {"decoding": "greedy"},
        {"decoding": "sample", "top_k": 10},
        {"decoding": "sample", "top_k": 50},
    ]


def test_a_search_suggests_within_ranges_and_lists() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    axes = Axes(
        values={
            "lr": Range(low=1e-5, high=1e-2, log=True),
            "epochs": Range(low=1, high=9, step=2),
            "kind": ("greedy", "sample"),
            "top_k": (10, 50),
        },
        conditions={"top_k": {"kind": ("sample",)}},
    )
    search = AxesSearch(axes=axes, integers=frozenset({"epochs"}))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = [search(study.ask()) for _ in range(30)]
    assert all(1e-5 <= each["lr"] <= 1e-2 for each in found)  # type: ignore[operator]
    assert {each["epochs"] for each in found} <= {1, 3, 5, 7, 9}
    assert all(isinstance(each["epochs"], int) for each in found)
    assert all(("top_k" in each) == (each["kind"] == "sample") for each in found)


@pytest.mark.parametrize(
    ("values", "zipped", "message"),
    [
        ({"lr": ()}, (), "the list of lr is empty"),
        ({"lr": (1, 1)}, (), "the list of lr has 1 twice"),
        ({"lr": (1, 2)}, (("lr", "x"),), "x has no list of values"),
        ({"lr": (1, 2), "x": (1, 2, 3)}, (("lr", "x"),), "equal lengths, but have lr 2, x 3"),
        ({"lr": (1, 2)}, (("lr",),), "takes several parameters"),
        ({"a": (1, 2), "b": (1, 2), "c": (1, 2)}, (("a", "b"), ("b", "c")), "names b in two"),
    ],
)
def test_unusable_lists_are_refused(
    values: dict[str, tuple[int, ...]], zipped: tuple[tuple[str, ...], ...], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        Axes(values=values, zipped=zipped)


@pytest.mark.parametrize(
    ("low", "high", "log", "step", "message"),
    [
        (3, 1, False, None, "`low < high` must hold"),
        (0, 1, True, None, "must be above 0"),
        (0, 1, False, 2, "at most 1"),
        (1, 2, True, 0.5, "not on a log scale"),
        (0, float("inf"), False, None, "`low < high` must hold"),
    ],
)
def test_impossible_ranges_are_refused(
    low: float, high: float, log: bool, step: float | None, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        Range(low=low, high=high, log=log, step=step)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1e-5,1e-3", ["1e-5", "1e-3"]),
        ("1e-5, 1e-3", ["1e-5", "1e-3"]),
        ("[1, 2]", ["1", "2"]),
        ("7,", ["7"]),
        ("'a, b', c", ["'a, b'", "c"]),
        ("don't, do", ["don't", "do"]),
        ("'a, b'", None),
        ("plain", None),
        ("", None),
    ],
)
def test_commas_outside_of_quotes_separate_values(text: str, parts: list[str] | None) -> None:
    assert split_list(text) == parts


@given(st.lists(st.text(alphabet="ab, .'", max_size=6), min_size=2, max_size=4))
def test_quoted_values_come_back_from_their_list(values: list[str]) -> None:
    parts = split_list(",".join(f'"{value}"' for value in values))
    assert parts is not None
    assert [unquote(part) for part in parts] == values


@given(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300))
def test_a_range_comes_back_from_its_text(first: float, second: float) -> None:
    low, high = sorted((first, second))
    if low < high:
        assert parse_range(f"{low!r}..{high!r}:log") == Range(low=low, high=high, log=True)
    assert parse_range(f"{low!r}") is None
