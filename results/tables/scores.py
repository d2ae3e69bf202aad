"""Read the scores per sample of a metric, by trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from results.statistics import MEAN
from results.storage.reading import Sweep


class Scores:
    """The scores of a metric by trial id, from ``samples``: [U], or [U, K] for a formula.

    For a function without samples, each trial has one score, its metric.
    """

    def __init__(self, sweep: Sweep, name: str) -> None:
        self._spec = sweep.manifest.paired_of(name)
        self._by_trial: dict[str, np.ndarray[Any, Any]] = {}
        self._units: dict[str, np.ndarray[Any, Any]] = {}
        self._read_samples(sweep)
        #: Whether each trial has only one score, its metric, so that only seeds vary.
        self.are_metrics = not self._by_trial and sweep.manifest.function is not None
        if self.are_metrics:  # without samples, the units of a function's metric are unknown
            self._take_metrics(sweep, f"metric.{name}")

    def _take_metrics(self, sweep: Sweep, key: str) -> None:
        for row in sweep.current_rows():
            if row.get(key) is not None:
                self._by_trial[row["trial_id"]] = np.array([row[key]])
                self._units[row["trial_id"]] = np.zeros(1)

    def _read_samples(self, sweep: Sweep) -> None:
        if self._spec is None or not sweep.samples.num_rows:
            return
        samples = sweep.samples
        if not {*self._spec.where, self._spec.unit, self._spec.value} <= {*samples.column_names}:
            return
        for column, wanted in self._spec.where.items():
            samples = samples.filter(pc.equal(samples[column], wanted))
        samples = samples.filter(pc.is_valid(samples[self._spec.value]))  # null in other versions
        if not samples.num_rows:
            return
        samples = samples.sort_by([("trial_id", "ascending"), (self._spec.unit, "ascending")])
        values = _to_numpy(samples[self._spec.value])
        if (values.ndim == 2) != (self.aggregate != MEAN):
            return
        if self._spec.at_most is not None:
            values = (values <= self._spec.at_most).astype(np.float64)
        ids = np.asarray(samples["trial_id"].to_pylist())
        starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
        units = samples[self._spec.unit].combine_chunks().to_numpy(zero_copy_only=False)
        parts = zip(starts, np.split(values, starts[1:]), np.split(units, starts[1:]), strict=True)
        for first, part, of_units in parts:
            self._by_trial[str(ids[first])] = part
            self._units[str(ids[first])] = of_units

    @property
    def aggregate(self) -> str:
        """How to compute the metric from the scores: ``mean``, or a formula."""
        return MEAN if self._spec is None else self._spec.aggregate

    def units(self, trial_id: str) -> Any:
        """Return the units [U] of a trial's scores, in order; None if there are no scores."""
        return self._units.get(trial_id)

    def matrix(self, trial_ids: Sequence[str]) -> Any:
        """Return scores [U, S] (or [U, S, K]) of one trial per seed; None if some are missing."""
        parts = [self._by_trial.get(trial_id) for trial_id in trial_ids]
        if not parts or any(p is None or len(p) != len(parts[0]) for p in parts):  # type: ignore[arg-type]
            return None
        return np.stack(parts, axis=1)  # type: ignore[arg-type]


def _to_numpy(column: Any) -> np.ndarray[Any, Any]:
    """Convert a column of numbers, or of lists of equal length."""
    array = column.combine_chunks()
    if pa.types.is_list(array.type):
        return np.asarray(array.flatten()).reshape(len(array), -1)
    return np.asarray(array.to_numpy(zero_copy_only=False))
