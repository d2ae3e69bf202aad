"""The weights that a sweep of the fragile task kept."""

from __future__ import annotations

from harness import Run

from results.storage.reading import read_sweep
from results.storage.weights import find_weights


def totals_of(run: Run) -> dict[int, float]:
    """level -> total in its kept weights, which must equal its result."""
    sweep, found = read_sweep(run.out, "fragile", "s"), {}
    for row in sweep.rows():
        store = find_weights(sweep, row)
        weights = store and store.read(row["trial_id"])
        if weights:
            assert weights.arrays["total"][0] == row["metric.total"]
            found[row["param.level"]] = float(weights.arrays["total"][0])
    return found
