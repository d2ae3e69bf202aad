"""Learning rates by step."""

from __future__ import annotations

import pytest

from tasks.schedules import learning_rate


def test_learning_rate_rises_and_falls() -> None:
    found = [learning_rate(2.0, 0.2, step, 10) for step in range(10)]
    assert found == pytest.approx([0.0, 1.0, *(2.0 * (8 - step) / 8 for step in range(8))])
    assert [learning_rate(2.0, None, step, 4) for step in range(4)] == [2.0, 1.5, 1.0, 0.5]


def test_rate_falls_by_a_power_after_the_warmup() -> None:
    found = [learning_rate(0.1, 0.2, step, 10, power=0.9) for step in (0, 1, 2, 6, 10)]
    assert found == pytest.approx([0.0, 0.05, 0.1, 0.1 * 0.5**0.9, 0.0])
    assert learning_rate(0.1, None, 5, 10, power=0.9) == pytest.approx(0.1 * 0.5**0.9)
