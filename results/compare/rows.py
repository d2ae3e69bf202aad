"""Compare the configurations of two sweeps: both scores, their difference and its test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.statistics import ALPHA, Estimate, average_of_differences, difference, holm
from results.storage.manifest import Manifest
from results.storage.reading import Sweep
from results.tables.summary import Scores, SummaryRow, format_plain
from results.text import plural_of


@dataclass(kw_only=True)
class ComparedRow:
    """One configuration in both sweeps, or in one of them."""

    first: SummaryRow | None
    second: SummaryRow | None
    seconds: tuple[float | None, float | None]  # per trial, the mean over seeds
    difference: float | None = None  # second minus first
    interval: Estimate | None = None  # of the difference, unadjusted
    p_value: float | None = None  # adjusted for all rows by Holm's method
    same_scoring: bool = True  # whether the metric measures the same in both sweeps
    mark: str = ""  # of the second sweep: a key of MARKS, or ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Matched:
    """A row with the scores of the second and of the first sweep, and their common units."""

    row: ComparedRow
    scores: tuple[Any, Any]  # [U, S] each, or [U, S, K]
    same_units: bool
    seeds: tuple[tuple[int, ...], tuple[int, ...]]  # of the first sweep and of the second

    @property
    def group(self) -> Any:
        """A key that is equal for rows whose variances over seeds are averaged."""
        return self.same_units, self.seeds


class Scorer:
    """Compares the rows of two sweeps, paired by unit and seed if the samples allow."""

    def __init__(self, first: Sweep, second: Sweep) -> None:
        name = first.manifest.metric.name
        self._main = first.manifest.main_key
        self._is_last = first.manifest.main_column.pick == "last"  # samples are from the last step
        self._sign = 1.0 if first.manifest.maximize else -1.0
        fingerprints = [sweep.manifest.data.fingerprint for sweep in (first, second)]
        self.same_data = fingerprints[0] == fingerprints[1]
        self.scored_differently: dict[str, list[str]] = {}  # parameter -> both values
        self._scoring_params = first.manifest.scoring_params
        self._scores = Scores(first, name), Scores(second, name)
        self._trials = tuple({r["trial_id"]: r for r in s.rows()} for s in (first, second))
        self.pairing: set[str] = set()  # how rows were paired, for the caption
        self.num_untested = 0  # number of rows in which no resample changes a score
        self.over_seeds = True  # whether the result of every row generalizes to other seeds

    def compare(self, pairs: Sequence[tuple[SummaryRow, SummaryRow]]) -> list[ComparedRow]:
        """Test the differences of pairs of rows, and adjust the p values for all rows."""
        rows = [self.describe(*pair) for pair in pairs]
        groups: dict[Any, list[_Matched]] = {}
        for row in rows:
            matched = self._match(row)
            if matched is not None:
                groups.setdefault(matched.group, []).append(matched)
        for group in groups.values():
            self._test(group)
        self._mark([row for row in rows if row.p_value is not None])
        return rows

    def describe(self, first: SummaryRow | None, second: SummaryRow | None) -> ComparedRow:
        """Return a row without its test. A side that is None is missing."""
        row = ComparedRow(
            first=first,
            second=second,
            seconds=(self._seconds(0, first), self._seconds(1, second)),
        )
        if first is None or second is None or not (first.num_seeds and second.num_seeds):
            return row
        if self._main not in first.metrics or self._main not in second.metrics:
            return row
        row.difference = second.metrics[self._main] - first.metrics[self._main]
        row.same_scoring = self._is_scored_alike(first, second)
        if first.trial_ids == second.trial_ids:
            row.mark = "same"
        return row

    def _match(self, row: ComparedRow) -> _Matched | None:
        """Return the scores of both sides and how they are paired; None if there is no test."""
        first, second = row.first, row.second
        if row.difference is None or row.mark == "same" or not self._is_last:
            return None
        assert first is not None
        assert second is not None
        sides = list(zip(self._scores, (first, second), strict=True))
        ours, theirs = (scores.matrix(each.trial_ids) for scores, each in sides)
        if ours is None or theirs is None or ours.shape[:2] == (1, 1) == theirs.shape[:2]:
            return None
        units = [scores.units(each.trial_ids[0]) for scores, each in sides]
        return _Matched(
            row=row,
            scores=(theirs, ours),
            same_units=self.same_data and np.array_equal(units[0], units[1]),
            seeds=(tuple(self._seeds(0, first)), tuple(self._seeds(1, second))),
        )

    def _test(self, group: Sequence[_Matched]) -> None:
        """Test rows with the same seeds, using their average variance over seeds."""
        same_units, seeds = group[0].same_units, group[0].seeds
        same_seeds, aggregate = seeds[0] == seeds[1], self._scores[0].aggregate
        average = average_of_differences(
            [each.scores for each in group],
            same_units=same_units,
            same_seeds=same_seeds,
            aggregate=aggregate,
        )
        for each in group:
            found = difference(
                *each.scores,
                same_units=same_units,
                same_seeds=same_seeds,
                aggregate=aggregate,
                average=average,
            )
            if math.isnan(found.p_value):
                self.num_untested += 1
                continue
            each.row.interval, each.row.p_value = found.estimate, found.p_value
            self.over_seeds &= found.over_seeds
            self.pairing.add("unit" if same_units else "")
            self.pairing.add("seed" if same_seeds and len(seeds[0]) > 1 else "")

    def _mark(self, tested: Sequence[ComparedRow]) -> None:
        """Adjust the p values for all rows, and mark the significant differences."""
        adjusted = holm([row.p_value for row in tested if row.p_value is not None])
        for row, p_value in zip(tested, adjusted, strict=True):
            row.p_value = p_value
            assert row.difference is not None
            better = self._sign * row.difference > 0
            if self.same_data and row.same_scoring:
                row.mark = "tie" if p_value >= ALPHA else "better" if better else "worse"

    def _is_scored_alike(self, first: SummaryRow, second: SummaryRow) -> bool:
        """Return whether the metric measures the same in both; record the differing parameters."""
        alike = True
        for name in self._scoring_params:
            values = [format_plain(row.params.get(name)) for row in (first, second)]
            if values[0] != values[1]:
                self.scored_differently.setdefault(name, values)
                alike = False
        return alike

    def _seeds(self, which: int, row: SummaryRow) -> list[int]:
        return [self._trials[which][trial_id]["seed"] for trial_id in row.trial_ids]

    def _seconds(self, which: int, row: SummaryRow | None) -> float | None:
        found = [self._trials[which][i].get("seconds") for i in row.trial_ids] if row else []
        known = [seconds for seconds in found if seconds is not None]
        return float(np.mean(known)) if known else None


def explain_scoring(scorer: Scorer) -> list[str]:
    """Say that differences may come from the scoring, if trials were scored differently."""
    if not scorer.scored_differently:
        return []
    parts = [f"{n} ({' and '.join(values)})" for n, values in scorer.scored_differently.items()]
    return [
        f"The sweeps differ in {' and '.join(parts)}, which changes what is measured: a difference "
        "may come from that alone, so no row is marked as better or worse."
    ]


def describe_difference(manifest: Manifest, scorer: Scorer, over_seeds: bool) -> str:
    """Describe how differences were paired, and what their intervals cover."""
    unit = manifest.unit
    by = " and ".join(
        word.replace("unit", unit) for word in ("unit", "seed") if word in scorer.pairing
    )
    how = f"paired by {by}" if by else "not paired: the samples are not the same"
    units = plural_of(unit)
    if over_seeds:
        return f"{how}, over {units} and seeds"
    return f"{how}, over {units} only: one seed says nothing about other seeds"
