"""Two sweeps without a common configuration: best and spread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from compared_sweeps import compare, hits, make_trial, render_text, write_sweep

from results.compare.sweeps import Comparison
from results.export import FORMATS, make_document
from results.statistics import difference
from tasks.contract import RequestError


def test_without_common_rows_best_and_spread_are_compared(tmp_path: Path) -> None:
    shares = {0.1: 0.4, 0.2: 0.5, 0.25: 0.7}
    first = write_sweep(
        tmp_path, "a", [make_trial(hits(share), lr=lr) for lr, share in shares.items()]
    )
    others = {0.3: 0.2, 0.4: 0.9}
    trials = [make_trial(hits(share), lr=lr, epochs=8 * lr) for lr, share in others.items()]
    failed = make_trial(None, lr=0.5, status="failed")
    second = write_sweep(tmp_path, "c", [*trials, failed])
    _, found = compare(first, second, ("a", "c"))
    assert not isinstance(found, Comparison)
    rows = {what: cells for what, *cells in found.rows}
    assert rows["configurations tried"] == ["3", "3"]
    assert rows["finished"] == ["3", "2"]
    assert [cell.split()[0] for cell in rows["best"]] == ["70.00", "90.00"]
    assert rows["median"] == ["50.00", "55.00"]
    assert [cell.split()[0] for cell in rows["worst"]] == ["40.00", "20.00"]
    assert rows["lr of the best"] == ["0.25", "0.4"]
    ours, theirs = (np.array(hits(share), float)[:, None] for share in (0.7, 0.9))
    expected = difference(theirs, ours, same_units=True, same_seeds=True).estimate
    assert expected is not None
    interval = f"[{100 * expected.low:.1f}, {100 * expected.high:.1f}]"
    assert f"Best of c minus best of a: +20.00 {interval}, 95 %" in found.caption[1]
    assert "paired by query, over queries only" in found.caption[1]
    assert "Each best was chosen on the data that score it" in found.caption[2]
    for width in (60, 80, 160):
        shown = render_text((_, found), width)
        assert "70.00" in shown
        assert max(map(len, shown.splitlines())) <= width
    document = make_document("toy", "a-and-c", [("configurations", found)])
    for name, export in FORMATS.items():
        assert "90.00" in export([document]), name


def test_best_rows_without_samples_have_no_interval(tmp_path: Path) -> None:
    metric = {"name": "r1", "label": "error", "direction": "minimize"}
    sweeps = []
    for name, lrs in (("a", (0.1, 0.2)), ("c", (0.3, 0.4))):
        trials = [make_trial(None, lr=lr) for lr in lrs]
        for trial in trials:
            trial.trial["metric.r1"] = trial.trial["param.lr"]
        sweeps.append(write_sweep(tmp_path, name, trials, metric=metric))
    _, found = compare(sweeps[0], sweeps[1], ("a", "c"))
    assert ["best", "10.00", "30.00"] in found.rows
    assert ["worst", "20.00", "40.00"] in found.rows
    assert found.caption[1].endswith("+20.00; there are no samples for an interval.")


def test_a_sweep_without_a_finished_trial_has_no_best(tmp_path: Path) -> None:
    first = write_sweep(tmp_path, "a", [make_trial(hits(0.5), lr=lr) for lr in (0.1, 0.2)])
    failed = [make_trial(None, lr=lr, status="failed") for lr in (0.3, 0.4)]
    second = write_sweep(tmp_path, "c", failed)
    with pytest.raises(RequestError, match="c has no finished trial yet; run its sweep first"):
        compare(first, second, ("a", "c"))
