"""Limits and ticks of an axis."""

from __future__ import annotations

import math
import re

import pytest
from drawn_charts import chart_of, drawn
from hypothesis import example, given, settings
from hypothesis import strategies as st

from results.figures.terminal_chart import terminal_chart
from results.figures.ticks import limits, tick_texts, ticks


def test_ticks_of_a_log_axis_are_plain_numbers() -> None:
    figure = drawn(chart_of(["loss"], (0.2, 0.06, 0.02), log=True))
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    texts = [label.get_text() for label in axes.get_yticklabels()]
    assert texts == ["0.02", "0.03", "0.05", "0.07", "0.1", "0.2"]
    assert not axes.yaxis.get_minorticklocs().size
    assert axes.get_ylabel() == "score (%)"
    assert axes.get_xlabel() == "epoch"


def test_chart_of_zeros_starts_at_zero() -> None:
    figure = drawn(chart_of(["a"], (0.0, 0.0)))
    assert figure.axes[0].get_ylim() == (0.0, 1.0)
    text = terminal_chart(chart_of(["a"], (0.0, 0.0)), 80).plain
    assert "-1" not in text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 100.0], (0.0, 100.0)),
        ([5.0, 5.0], (4.5, 5.5)),
        ([-2.0, 2.0], (-2.16, 2.16)),
        ([99.0, 100.0], (98.96, 100.0)),
    ],
)
def test_limits_respect_bounds(values: list[float], expected: tuple[float, float]) -> None:
    assert limits(values, top=100) == pytest.approx(expected)


NUMBERS = st.floats(1e-9, 1e9)


@given(NUMBERS, NUMBERS, st.booleans(), st.integers(3, 9))
@example(1.0, 231416455.0, True, 3)
@example(1.0, 29.0, True, 3)
@example(1.0, 31.0, True, 3)
@settings(max_examples=100)
def test_ticks_are_few_and_within_the_axis(one: float, other: float, log: bool, most: int) -> None:
    low, high = limits([one, other], log=log)
    if not high > low * (1 + 1e-6):
        return
    found = ticks(low, high, log=log, max_ticks=most)
    assert 1 <= len(found) <= most
    assert all(low * (1 - 1e-6) <= tick <= high * (1 + 1e-6) for tick in found)
    assert found == sorted(set(found))
    for value, text in zip(found, tick_texts(found), strict=True):
        assert re.fullmatch(r"-?[\d,]+(\.\d+)?(e-?\d+)?", text)
        shown = float(text.replace(",", ""))
        assert math.isclose(shown, value, rel_tol=0.01, abs_tol=1e-6 * (high - low))
