"""Scores with their uncertainty, and which differences are more than chance. numpy only.

Scores are [U, S]: one per unit (query, image) and seed. Units and seeds are both samples, so the
variance of a mean has two parts: over units of the seeds' mean, and over seeds of the units' mean.
A corpus score such as BLEU is no mean: [U, S, 10] are the statistics it is made of, and the part
over units comes from resampling images (Koehn 2004), with the same draws for every configuration,
so that differences are paired.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Z = 1.959963984540054  # of a two-sided 95 % interval


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


def standard_error(scores: np.ndarray[Any, Any]) -> float:
    """The standard error of the mean of scores [U, S]."""
    units, seeds = scores.shape
    over_units = scores.mean(1).var(ddof=1) / units if units > 1 else 0.0
    over_seeds = scores.mean(0).var(ddof=1) / seeds if seeds > 1 else 0.0
    return math.sqrt(over_units + over_seeds)


def estimate(scores: np.ndarray[Any, Any]) -> Estimate:
    """The mean of scores [U, S], or BLEU of statistics [U, S, 10], with its interval.

    Wilson's interval for hits and misses of one seed.
    """
    if scores.ndim == 3:
        drawn, seeds = bleu4(_resampled(scores)), bleu4(scores.sum(0))
        mean, half = float(seeds.mean()), Z * _combined_error(drawn, seeds)
        return Estimate(mean, max(0.0, mean - half), mean + half)
    mean = float(scores.mean())
    if scores.shape[1] == 1 and bool(np.isin(scores, (0.0, 1.0)).all()):
        return wilson(mean, scores.shape[0])
    half = Z * standard_error(scores)
    return Estimate(mean, mean - half, mean + half)


NUM_RESAMPLES = 1000


def _resampled(statistics: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Sums [B, S, 10] of statistics [U, S, 10] over images drawn with replacement."""
    units, seeds, size = statistics.shape
    rng = np.random.default_rng(0)  # the same draws for every configuration of as many images
    weights = rng.multinomial(units, np.full(units, 1 / units), size=NUM_RESAMPLES)
    sums = weights.astype(np.float64) @ statistics.reshape(units, -1).astype(np.float64)
    return sums.reshape(NUM_RESAMPLES, seeds, size)


def bleu4(sums: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Corpus BLEU-4 in 0..100 of summed statistics [..., 10], without smoothing."""
    matches, totals = sums[..., :4], sums[..., 4:8]
    said, meant = sums[..., 8], sums[..., 9]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.log(matches / totals).mean(-1)
        brevity = np.minimum(0.0, 1 - meant / said)
        found = 100 * np.exp(precision + brevity)
    return np.where((matches > 0).all(-1), found, 0.0)


def _combined_error(drawn: np.ndarray[Any, Any], seeds: np.ndarray[Any, Any]) -> float:
    """The standard error over units, from resamples [B, S], and over seeds [S]."""
    over_seeds = seeds.var(ddof=1) / len(seeds) if len(seeds) > 1 else 0.0
    return math.sqrt(drawn.mean(1).var(ddof=1) + over_seeds)


def wilson(share: float, number: int) -> Estimate:
    """Wilson's score interval of a share of ``number`` hits and misses (Wilson 1927)."""
    centre = (share + Z**2 / (2 * number)) / (1 + Z**2 / number)
    spread = math.sqrt(share * (1 - share) / number + Z**2 / (4 * number**2))
    half = Z * spread / (1 + Z**2 / number)
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half))


def is_tie(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    """Whether two configurations' paired scores differ by at most two standard errors."""
    if one.ndim == 3:
        seeds = bleu4(one.sum(0)) - bleu4(other.sum(0))
        drawn = bleu4(_resampled(one)) - bleu4(_resampled(other))
        return abs(float(seeds.mean())) <= 2 * _combined_error(drawn, seeds)
    difference = one - other
    return abs(float(difference.mean())) <= 2 * standard_error(difference)


def difference(
    one: np.ndarray[Any, Any],
    other: np.ndarray[Any, Any],
    *,
    same_units: bool,
    same_seeds: bool,
) -> Estimate:
    """``one``'s mean minus ``other``'s with its 95 % interval; each [U, S], or [U, S, 10] of BLEU.

    Units that are the same are paired, and so are seeds; where they are not, variances add up.
    """
    one_units, one_share, one_seeds = _parts(one)
    other_units, other_share, other_seeds = _parts(other)
    if same_units:
        variance = one_share * _variance(one_units - other_units)
    else:
        variance = one_share * _variance(one_units) + other_share * _variance(other_units)
    if same_seeds:
        variance += _variance(one_seeds - other_seeds) / len(one_seeds)
    else:
        variance += _variance(one_seeds) / len(one_seeds)
        variance += _variance(other_seeds) / len(other_seeds)
    mean, half = float(one_seeds.mean() - other_seeds.mean()), Z * math.sqrt(variance)
    return Estimate(mean, mean - half, mean + half)


def _parts(scores: np.ndarray[Any, Any]) -> tuple[Any, float, Any]:
    """Values over units, what share of their variance is the mean's, and the means over seeds."""
    if scores.ndim == 3:  # resamples vary as the score itself does
        return bleu4(_resampled(scores)).mean(1), 1.0, bleu4(scores.sum(0))
    return scores.mean(1), 1 / len(scores), scores.mean(0)


def _variance(values: np.ndarray[Any, Any]) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.0
