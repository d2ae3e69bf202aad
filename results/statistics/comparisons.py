"""Test differences between configurations, one by one or with family-wise error control."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.statistics.aggregation import MEAN
from results.statistics.estimates import Estimate, interval
from results.statistics.exact import mcnemar, sign_flips
from results.statistics.seed_variance import against, average_of_pairs
from results.statistics.variance import Sample, Uncertainty, VarianceComponent, uncertainty

Array = np.ndarray[Any, Any]
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """The score of one configuration minus that of another."""

    estimate: Estimate
    """The difference with its unadjusted 95 % interval."""
    p_value: float
    """The two-sided, unadjusted p value; nan if there is no test."""
    test: str
    """The test: "McNemar", "permutation", "t over queries and seeds", "bootstrap", ..."""
    df: float
    """Degrees of freedom of the interval."""
    standard_error: float
    """Standard error of the difference."""
    over_seeds: bool
    """Whether the result generalizes to other seeds."""
    seeds_variance: float = 0.0
    """The part of the squared standard error that is due to seeds."""


def difference(
    one: Array,
    other: Array,
    *,
    same_units: bool = True,
    same_seeds: bool = True,
    aggregate: str = MEAN,
    average: VarianceComponent | None = None,
) -> Difference:
    """Estimate and test the difference of two scores, ``one`` minus ``other``.

    With one seed and the same units, the test is exact: McNemar's for hits, sign flips for other
    means. With several seeds it is a t test over units and seeds, and for a formula a t test over
    resamples. If only one side has several seeds, the other side is assumed to have the same
    variance over seeds. If neither has, the result holds only for these seeds (``over_seeds`` is
    false).

    Args:
        one: scores [U, S] of units and seeds, or [U, S, K] if ``aggregate`` is a formula.
        other: the scores of another configuration, of the same form.
        same_units: whether row u of both is the same unit, so that units are paired.
        same_seeds: whether column s of both is the same seed, so that seeds are paired.
        aggregate: ``mean``, or a formula over sums of K values.
        average: the average variance over seeds of several such differences, from
            ``average_over_seeds`` or ``average_of_differences``. It is used unless the variance of
            this difference is larger.

    Examples:
        >>> ours = np.array([[1], [1], [1], [1], [1], [1], [1], [0]])
        >>> theirs = np.array([[0], [0], [0], [0], [0], [0], [1], [0]])
        >>> found = difference(ours, theirs)
        >>> found.estimate.mean, found.test, found.p_value
        (0.75, 'McNemar', 0.03125)
    """
    ours, theirs = Sample.of(one, aggregate), Sample.of(other, aggregate)
    if average is None:
        found = uncertainty(ours, theirs, same_units=same_units, same_seeds=same_seeds)
    else:
        found = against(ours, theirs, average, same_units=same_units, same_seeds=same_seeds)
    mean = float(ours.points.mean() - theirs.points.mean())
    if one.ndim == 3 and (ours.is_fixed or theirs.is_fixed):
        found = dataclasses.replace(found, df=math.nan)  # its variance cannot be estimated
    p_value, test = _t_test(mean, found), _name(one, ours.df, found.over_seeds)
    if one.ndim == 2 and same_units and one.shape[1] == other.shape[1] == 1 and ours.df:
        p_value, test = _exact_test(one[:, 0], other[:, 0])
    if one.ndim == 2 and not found.standard_error and _are_hits(one) and _are_hits(other):
        # No unit differs. A few units must not prove a difference of exactly 0, so the interval
        # assumes one discordant pair in each direction.
        estimate = interval(mean, dataclasses.replace(found, standard_error=2**0.5 / len(one)))
    else:
        estimate = interval(mean, found)
    return Difference(
        estimate=estimate,
        p_value=p_value,
        test=test,
        df=found.df,
        standard_error=found.standard_error,
        over_seeds=found.over_seeds,
        seeds_variance=found.seeds_variance,
    )


def _t_test(mean: float, found: Uncertainty) -> float:
    from scipy import special

    if math.isnan(found.df):
        return math.nan
    if not found.standard_error:
        return 1.0 if mean == 0 else 0.0
    return float(2 * special.stdtr(found.df, -abs(mean) / found.standard_error))


def _exact_test(one: Array, other: Array) -> tuple[float, str]:
    if _are_hits(one) and _are_hits(other):
        return mcnemar(one.astype(np.float64) - other), "McNemar"
    return sign_flips(one - other), "permutation"


def _are_hits(scores: Array) -> bool:
    return bool(np.isin(scores, (0, 1)).all())


def _name(scores: Array, df: int, over_seeds: bool) -> str:
    if scores.ndim == 3:
        return "bootstrap and t over seeds" if over_seeds else "bootstrap"
    if not df:
        return "t over seeds" if over_seeds else "none"
    return "t over queries and seeds" if over_seeds else "t over queries"


@dataclass(frozen=True, slots=True)
class BestComparison:
    """The comparison of a table's rows with its best row."""

    best: int
    """Index of the row with the best score."""
    p_values: tuple[float, ...]
    """The p value of each row, adjusted for all pairs; 1 for the best row, nan if not tested."""
    over_seeds: bool
    """Whether the result generalizes to other seeds."""

    @property
    def beaten(self) -> tuple[bool, ...]:
        """Which rows are significantly worse than the best, with a family-wise error of 5 %."""
        return tuple(p < ALPHA for p in self.p_values)


def compare_with_best(
    rows: Sequence[Array], *, maximize: bool = True, aggregate: str = MEAN
) -> BestComparison:
    """Test every row against the best one, with a family-wise error of 5 % over all rows.

    The data choose the best row, so each test may be any of the K (K - 1) / 2 pairs. Therefore the
    family is Tukey's, not Dunnett's; Hsu's does not fit either, because its "not the best" includes
    "equal to the best". The p value of a pair is converted to z and compared with the studentized
    range of K means. For 2 rows this has no effect. Each pair keeps its own (exact) test and its
    own degrees of freedom, so variances may be unequal. The range is conservative for correlated
    rows (Hayter 1984, Brown 1984).

    Two to five seeds are too few to estimate the variance over seeds of each pair. So a pair uses
    the average over all pairs, as in Tukey's test, unless its own variance is larger.

    Args:
        rows: the scores of each row, for the same units and the same seeds.
        maximize: whether larger scores are better.
        aggregate: ``mean``, or a formula over sums of K values.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> rows = [rng.normal(mean, 1, (200, 1)) for mean in (0.0, 0.1, 1.0)]
        >>> found = compare_with_best(rows)
        >>> found.best, found.beaten
        (2, (True, True, False))
    """
    samples = [Sample.of(row, aggregate) for row in rows]
    scores = np.array([sample.points.mean() for sample in samples])
    best = int(np.argmax(scores if maximize else -scores))
    over_seeds = rows[0].shape[1] > 1
    average = average_of_pairs(samples) if over_seeds and len(rows) > 1 else VarianceComponent()
    p_values = []
    for index, row in enumerate(rows):
        if index == best:
            p_values.append(1.0)
        elif row.ndim == 3 and (samples[best].is_fixed or samples[index].is_fixed):
            p_values.append(math.nan)
        elif not over_seeds:
            p_values.append(difference(rows[best], row, aggregate=aggregate).p_value)
        else:
            found = against(samples[best], samples[index], average)
            p_values.append(_t_test(float(scores[best] - scores[index]), found))
    adjusted = tuple(_tukey(p, len(rows)) for p in p_values)
    return BestComparison(best=best, p_values=adjusted, over_seeds=over_seeds)


def _tukey(p_value: float, rows: int) -> float:
    """Adjust the p value of a pair for all pairs of ``rows`` rows."""
    from scipy import special, stats

    if rows <= 2 or p_value >= 1 or math.isnan(p_value):
        return p_value
    bound = p_value * rows * (rows - 1) / 2
    if bound < 1e-6:
        return bound  # Bonferroni's bound, because the integral below is inaccurate here
    z = -float(special.ndtri(p_value / 2))
    return float(min(1.0, bound, stats.studentized_range.sf(math.sqrt(2) * z, rows, math.inf)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values by Holm's method (Holm 1979), which controls the family-wise error.

    Examples:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    adjusted, largest = [0.0] * len(order), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
