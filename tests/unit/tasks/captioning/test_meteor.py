"""METEOR from the counts of its program, without Java."""

from __future__ import annotations

import numpy as np
import pytest

from results.statistics.aggregation import aggregation
from tasks.captioning.meteor import METEOR, condense, meteor_scores

# What METEOR 1.5 printed for six captions, and pycocoevalcap's scores of each and of all.
COUNTS = """
8 8 4 3 2 2 2 2 1 1 0 0 0 1 1 0 1 1 1 1 1 8 8
5 5 2 2 2 2 1 1 1 1 0 0 0 0 0 0 0 0 0 0 2 4 4
2 3 1 1 1 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 2 2 2
10 10 4 6 4 4 2 2 0 0 0 0 0 0 0 0 0 0 0 0 5 6 6
1 3 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
0 2 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
"""
SCORES = [0.8113191416602548, 0.38213572961786046, 0.2442748091603053, 0.31724639604182425, 0, 0]
TOTAL = 0.3160987720866958


def test_scores_follow_from_the_counts() -> None:
    counts = np.array([line.split() for line in COUNTS.strip().splitlines()], dtype=float)
    statistics = condense(counts)
    assert meteor_scores(statistics) == pytest.approx(SCORES)
    assert meteor_scores(statistics.sum(0)) == pytest.approx(TOTAL)
    formula = aggregation(METEOR)
    assert formula(statistics.sum(0)) == pytest.approx(TOTAL)
    assert [formula(each) for each in statistics] == pytest.approx(SCORES)
