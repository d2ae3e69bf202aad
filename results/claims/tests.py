"""Test a claim by comparing two rows of a sweep, or a row and a number.

Scores are [U, S] of units (queries, images) and seeds, or [U, S, K] for a formula such as BLEU.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.statistics import MEAN, Difference, average_over_seeds, difference, estimate
from results.statistics.regions import locate, region_of, shift_difference, t_over_seeds
from results.statistics.variance import VarianceComponent
from results.storage.manifest_parts import NumberSide, RecordedClaim, RowSide
from results.storage.reading import Sweep
from results.tables.summary import Scores

_Trials = Sequence[Mapping[str, Any]]  # rows, one per seed
_Side = tuple[RowSide, _Trials] | NumberSide


@dataclass(frozen=True, kw_only=True)
class ClaimTest:
    """The test of a claim, before the adjustment for several claims."""

    ours: tuple[float, float]
    found: Difference
    inside: bool  # whether the difference is in the claimed region
    p_value: float
    distance: float  # from the difference to the nearest bound of the region
    over_seeds: float  # the part of the squared standard error that decreases with more seeds
    scope: str
    num_units: int | None
    num_seeds: int
    unit: str


class ClaimTests:
    """Tests claims on a sweep's trials and scores."""

    def __init__(self, sweep: Sweep) -> None:
        manifest = sweep.manifest
        self._sweep, self._seeds = sweep, manifest.seeds
        self._columns = manifest.columns_by_key
        self._paired = {paired.metric: paired for paired in manifest.paired}
        self._scores: dict[str, Scores] = {}
        self._tables = [{_key(row.params) for row in table.rows} for table in manifest.tables]
        self._averages: dict[Any, VarianceComponent | None] = {}
        self._trials: dict[str, dict[int, Mapping[str, Any]]] = {}
        for row in sweep.current_rows():
            if row["seed"] in self._seeds:
                params = {k[6:]: v for k, v in row.items() if k.startswith("param.")}
                self._trials.setdefault(_key(params), {})[row["seed"]] = row

    def test(self, claim: RecordedClaim) -> ClaimTest | str:
        """Return the test of a claim, or the reason why it is not tested."""
        if claim.untested:
            return claim.untested
        rows = [side for side in claim.sides if isinstance(side, RowSide)]
        found = [self._trials.get(_key(side.params), {}) for side in rows]
        finished = [{s: r for s, r in f.items() if r["status"] == "finished"} for f in found]
        for side, every, done in zip(rows, found, finished, strict=True):
            if not done:
                return f"{side.label}: {_missing(every)}"
        if len({(_key(side.params), side.metric) for side in rows}) < len(rows):
            return "both sides are one configuration in this sweep"
        seeds = sorted(set.intersection(*(set(done) for done in finished)))
        if not seeds:
            return "the two rows have no finished seed in common"
        values = iter([[done[seed] for seed in seeds] for done in finished])
        return self._compare(
            claim,
            [(side, next(values)) if isinstance(side, RowSide) else side for side in claim.sides],
        )

    def _compare(self, claim: RecordedClaim, sides: Sequence[_Side]) -> ClaimTest | str:
        """Compare two rows, or a row and a number, over their common seeds."""
        numbers = [
            np.array([side.number]) if isinstance(side, NumberSide) else self._values(*side)
            for side in sides
        ]
        rows = _rows(sides)
        if any(number is None for number in numbers):
            return "a finished trial lacks the metric"
        if any(self._is_fixed(*row) for row in rows):
            return "too few samples: no resample changes one of the scores"
        seeds = max(len(number) for number in numbers)
        per_seed = np.broadcast_to(numbers[0], seeds) - np.broadcast_to(numbers[1], seeds)
        found = self._over_units(sides) or t_over_seeds(per_seed)
        if found is None:
            return "no scores per sample, and one seed"
        test, num_units, hits = found
        units = self._units(rows[0][0].metric) if num_units else ""
        region = region_of(claim.relation, claim.margin)
        inside, p_value, distance = locate(test, region, num_units if hits else None)
        if math.isnan(p_value):
            return "too few samples and seeds for a test"
        words = [units] * bool(num_units) + ["seeds"] * (seeds > 1)
        return ClaimTest(
            ours=(float(np.mean(numbers[0])), float(np.mean(numbers[1]))),
            found=test,
            inside=inside,
            p_value=p_value,
            distance=distance,
            over_seeds=test.seeds_variance,
            scope=f"over {' and '.join(words)}" + ("" if len(words) > 1 else " only"),
            num_units=num_units,
            num_seeds=seeds,
            unit=units,
        )

    def _is_fixed(self, side: RowSide, trials: _Trials) -> bool:
        """Return whether no resample changes the score, such as BLEU if no 4-gram ever matches."""
        scores = self._score(side.metric)
        if scores.aggregate == MEAN:
            return False
        matrix = scores.matrix([str(trial["trial_id"]) for trial in trials])
        if matrix is None:
            return False
        return math.isnan(estimate(matrix, scores.aggregate).low)

    def _values(self, side: RowSide, trials: _Trials) -> Any:
        """Return the metric [S] of trials, as tables show it; None if one lacks it."""
        stored = f"{'best' if self._is_best(side.metric) else 'metric'}.{side.metric}"
        values = [trial.get(stored) for trial in trials]
        if any(value is None or not math.isfinite(value) for value in values):
            return None
        return np.array(values, dtype=np.float64)

    def _is_best(self, metric: str) -> bool:
        """Return whether tables show the best step of a metric instead of the last."""
        column = self._columns.get(f"metric.{metric}")
        return column is not None and column.pick == "best"

    def _over_units(self, sides: Sequence[_Side]) -> tuple[Difference, int, bool] | None:
        """Test the difference on samples.

        Returns:
            The test, the number of units, and whether scores are hits and misses; None without
            samples.
        """
        matrices: list[Any] = []
        rows = _rows(sides)
        for side, trials in rows:
            scores = self._score(side.metric)
            matrix = scores.matrix([str(trial["trial_id"]) for trial in trials])
            if matrix is None or self._is_best(side.metric):  # samples are from the last step
                return None
            matrices.append((matrix, scores.units(str(trials[0]["trial_id"])), side.metric))
        matrix, units, metric = matrices[0]
        aggregate = self._score(metric).aggregate
        hits = bool(np.isin(matrix, (0.0, 1.0)).all())
        if len(matrices) == 1:
            number = next(side.number for side in sides if isinstance(side, NumberSide))
            test = difference(matrix, np.zeros_like(matrix), aggregate=aggregate)
            sign = -1.0 if isinstance(sides[0], NumberSide) else 1.0
            return shift_difference(test, number, sign), len(matrix), hits
        other, other_units, other_metric = matrices[1]
        if self._score(other_metric).aggregate != aggregate:
            return None
        same = self._is_same_sample(metric, other_metric) and np.array_equal(units, other_units)
        average = self._average_over_seeds(rows) if same else None
        test = difference(matrix, other, same_units=same, aggregate=aggregate, average=average)
        return test, min(len(matrix), len(other)), hits

    def _average_over_seeds(
        self, rows: Sequence[tuple[RowSide, _Trials]]
    ) -> VarianceComponent | None:
        """Return the variance over seeds of a difference, as for the marks of the rows' table.

        It is the average over the pairs of a table with both rows, or of all rows if there is no
        such table. It is None for a single seed, or for two metrics.
        """
        metric, seeds = rows[0][0].metric, tuple(trial["seed"] for trial in rows[0][1])
        if metric != rows[1][0].metric or len(seeds) < 2:
            return None
        pair = {_key(side.params) for side, _ in rows}
        number = next((i for i, keys in enumerate(self._tables) if pair <= keys), None)
        which = (metric, seeds, number)
        if which not in self._averages:
            keys = self._trials if number is None else self._tables[number]
            self._averages[which] = self._average_of(keys, metric, seeds)
        return self._averages[which]

    def _average_of(
        self, keys: Iterable[str], metric: str, seeds: Sequence[int]
    ) -> VarianceComponent | None:
        scores = self._score(metric)
        of_rows = [self._trials.get(key, {}) for key in sorted(keys)]
        matrices = [
            scores.matrix([str(trials[seed]["trial_id"]) for seed in seeds])
            for trials in of_rows
            if all(s in trials and trials[s]["status"] == "finished" for s in seeds)
        ]
        found = [matrix for matrix in matrices if matrix is not None]
        return average_over_seeds(found, scores.aggregate)

    def _score(self, metric: str) -> Scores:
        if metric not in self._scores:
            self._scores[metric] = Scores(self._sweep, metric)
        return self._scores[metric]

    def _is_same_sample(self, one: str, other: str) -> bool:
        """Return whether both metrics have the same units."""
        specs = [self._paired[name] for name in (one, other)]
        return (specs[0].unit, specs[0].where) == (specs[1].unit, specs[1].where)

    def _units(self, metric: str) -> str:
        """Return the name of a metric's units in the plural: queries, images."""
        unit = self._paired[metric].unit
        return f"{unit[:-1]}ies" if unit.endswith("y") else f"{unit}s"


def _rows(sides: Sequence[_Side]) -> list[tuple[RowSide, _Trials]]:
    return [side for side in sides if not isinstance(side, NumberSide)]


def _key(params: Mapping[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)


def _missing(found: Mapping[int, Mapping[str, Any]]) -> str:
    """Return why a row has no finished trial."""
    rows = list(found.values())
    failed = next((row for row in rows if row["status"] == "failed"), None)
    if failed is not None:
        return f"failed: {failed['reason']}"
    if any(row["status"] == "cancelled" for row in rows):
        return "cancelled"
    if not rows or not rows[0]["num_steps"]:
        return "not run yet"
    word = "interrupted" if rows[0]["status"] == "interrupted" else "pruned"
    return f"{word}@{rows[0]['num_steps']}"
