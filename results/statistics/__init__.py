"""Scores with their uncertainty, and which differences are more than chance."""

from results.statistics.aggregation import MEAN, aggregation
from results.statistics.comparisons import (
    ALPHA,
    BestComparison,
    Difference,
    average_over_seeds,
    compare_with_best,
    difference,
    holm,
)
from results.statistics.estimates import Estimate, estimate

__all__ = [
    "ALPHA",
    "MEAN",
    "BestComparison",
    "Difference",
    "Estimate",
    "aggregation",
    "average_over_seeds",
    "compare_with_best",
    "difference",
    "estimate",
    "holm",
]
