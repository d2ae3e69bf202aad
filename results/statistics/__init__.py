"""Estimate scores with confidence intervals, and test differences."""

from results.statistics.aggregation import MEAN, aggregation
from results.statistics.comparisons import (
    ALPHA,
    BestComparison,
    Difference,
    compare_with_best,
    difference,
    holm,
)
from results.statistics.estimates import Estimate, estimate
from results.statistics.seed_variance import average_of_differences, average_over_seeds

__all__ = [
    "ALPHA",
    "MEAN",
    "BestComparison",
    "Difference",
    "Estimate",
    "aggregation",
    "average_of_differences",
    "average_over_seeds",
    "compare_with_best",
    "difference",
    "estimate",
    "holm",
]
