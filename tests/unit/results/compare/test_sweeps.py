"""Two sweeps compared row by row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compared_sweeps import compare, hits, make_trial, render_text, write_sweep

from results.compare.sweeps import Comparison
from results.export import FORMATS, make_document
from results.statistics import average_of_differences, difference
from results.tables.details import DetailTable
from tasks.contract import RequestError


def test_row_matched_with_several_is_counted_once(tmp_path: Path) -> None:
    first = write_sweep(
        tmp_path,
        "a",
        [make_trial(hits(0.4), lr=0.1, epochs=e) for e in (0, 3)] + [make_trial(hits(0.5), lr=0.2)],
    )
    second = write_sweep(
        tmp_path,
        "b",
        [make_trial(hits(share), lr=lr, epochs=10) for lr, share in ((0.1, 0.5), (0.2, 0.6))],
    )
    _, table = compare(first, second, ("a", "b"))
    counted = "3 configurations of a and 2 of b, which differ in epochs, 0 only in a"
    assert any(line.startswith(counted) for line in table.caption)


def two(tmp_path: Path) -> tuple[DetailTable, Any]:
    first = write_sweep(
        tmp_path,
        "short",
        [
            make_trial(hits(0.40), lr=0.1),
            make_trial(hits(0.50), lr=0.2),
            make_trial(hits(0.60), lr=0.3),
            make_trial(hits(0.70), lr=0.4),
            make_trial(None, lr=0.5, status="failed"),
        ],
    )
    second = write_sweep(
        tmp_path,
        "long",
        [
            make_trial(hits(0.55), lr=0.1, epochs=10),
            make_trial(hits(0.50), lr=0.2, epochs=10),
            make_trial(hits(0.30), lr=0.3, epochs=10),
            make_trial(hits(0.20), lr=0.9, epochs=10),
            make_trial(hits(0.20), lr=0.5, epochs=10),
        ],
        versions={"torch": "2.14"},
    )
    return compare(first, second, ("short", "long"))


def test_cells_of_a_comparison(tmp_path: Path) -> None:
    whole, table = two(tmp_path)
    assert whole.rows == [
        ["epochs", "5", "10"],
        ["torch", "2.13", "2.14"],
        ["finished trials", "4 in 10.0 s", "5 in 12.5 s"],
    ]
    cells = [dict(zip(table.headings, row, strict=True)) for row in table.rows]
    by_lr = {row["lr"]: row for row in cells}
    assert list(by_lr) == ["0.3", "0.2", "0.1", "0.5", "0.4", "0.9"]  # best of the first, first
    assert by_lr["0.1"]["short"] == "40.00"
    assert by_lr["0.1"]["long"] == "55.00"
    assert by_lr["0.1"]["difference"] == "▲ +15.00"
    assert by_lr["0.1"]["difference 95 %"] == "[10.0, 20.0]"
    assert by_lr["0.1"]["short s"] == "2.5"
    assert by_lr["0.2"]["difference"] == "≈ +0.00"
    assert by_lr["0.3"]["difference"] == "▼ -30.00"
    assert by_lr["0.4"]["long"] == "-"
    assert by_lr["0.4"]["difference"] == ""
    assert by_lr["0.5"]["short"] == "-"
    assert by_lr["0.5"]["status"] == "short: failed: it broke"
    assert "4 configurations in both, 1 only in short, 1 only in long." in table.caption
    assert any(
        "unadjusted 95 % interval], paired by query, over queries only" in c for c in table.caption
    )


@pytest.mark.parametrize("width", [80, 160])
def test_a_comparison_fits_its_terminal(tmp_path: Path, width: int) -> None:
    output = render_text(two(tmp_path), width)
    assert max(map(len, output.splitlines())) <= width
    assert "…" not in output
    for cell in ("▲ +15.00", "[10.0, 20.0]", "▼ -30.00", "failed", "55.00", "2.5"):
        assert cell in output
    assert ("[10.0, 20.0]" in next(line for line in output.splitlines() if "▲ +15.00" in line)) == (
        width == 160
    )


def test_many_parameters_share_one_column_on_a_narrow_terminal(tmp_path: Path) -> None:
    def trials(**more: Any) -> list[Any]:
        return [
            make_trial(
                hits(0.4), start=f"a-start-with-a-long-name-{n}", lr=n / 10, epochs=n, **more
            )
            for n in (1, 2, 3)
        ]

    first = write_sweep(tmp_path, "a" * 30, trials())
    second = write_sweep(tmp_path, "b" * 100, trials())
    output = render_text(compare(first, second, ("a" * 30, "b" * 100)), 80)
    assert max(map(len, output.splitlines())) <= 80
    assert "configuration" in output
    assert "…" not in output


def test_equal_rows_are_not_marked_as_different(tmp_path: Path) -> None:
    # Each row alone is significant at 5 %. Of ten, Holm's method keeps the clearly different one.
    def sweep(name: str, shares: Sequence[float]) -> Any:
        return write_sweep(
            tmp_path, name, [make_trial(hits(s), lr=n) for n, s in enumerate(shares)]
        )

    first, second = sweep("a", [0.50] * 10), sweep("b", [0.535] * 9 + [0.7])
    _, table = compare(first, second, ("a", "b"))
    for row in table.compared:
        assert row.interval is not None
        assert row.p_value is not None
        assert row.interval.low > 0
    marks = {row.first.params["lr"]: row.mark for row in table.compared if row.first}
    assert [marks[n] for n in range(10)] == ["tie"] * 9 + ["better"]
    assert any("5 % error over all rows together, by Holm's method" in c for c in table.caption)


def test_minimized_metric_is_better_when_smaller(tmp_path: Path) -> None:
    metric = {"name": "r1", "label": "error", "direction": "minimize"}
    first = write_sweep(tmp_path, "a", [make_trial(hits(0.5))], metric=metric)
    second = write_sweep(tmp_path, "b", [make_trial(hits(0.3))], metric=metric)
    _, table = compare(first, second, ("a", "b"))
    assert [r.mark for r in table.compared] == ["better"]


def test_seeds_are_pooled_and_paired_where_both_have_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    scores = rng.random((2, 100, 3)) < np.array([0.4, 0.5]).reshape(2, 1, 1)
    sweeps = [
        write_sweep(tmp_path, name, [make_trial(part[:, s].astype(int), seed=s) for s in range(3)])
        for name, part in zip("ab", scores, strict=True)
    ]
    _, table = compare(sweeps[0], sweeps[1], ("a", "b"))
    (found,) = table.compared
    ours, theirs = scores.astype(float)
    average = average_of_differences([(theirs, ours)])
    expected = difference(theirs, ours, average=average)
    assert found.interval == expected.estimate
    assert found.p_value == expected.p_value  # one row: nothing to adjust for
    assert found.difference == pytest.approx(expected.estimate.mean)
    assert any("paired by query and seed, over queries and seeds." in c for c in table.caption)

    fewer = write_sweep(
        tmp_path, "c", [make_trial(theirs[:, s].astype(int), seed=s) for s in range(2)]
    )
    _, table = compare(sweeps[0], fewer, ("a", "c"))
    average = average_of_differences([(theirs[:, :2], ours)], same_seeds=False)
    expected = difference(theirs[:, :2], ours, same_seeds=False, average=average)
    assert table.compared[0].interval == expected.estimate


def test_seeds_that_agree_by_chance_are_not_significant(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shift = {
        0.1: (0.1, 0.1),
        0.2: (0.2, 0.0),
        0.3: (0.0, 0.2),
    }  # added to each seed of the second sweep
    trials: dict[str, list[Any]] = {"a": [], "b": []}
    for lr, shifts in shift.items():
        for seed, more in enumerate(shifts):
            ability = rng.random(200)
            for name, share in (("a", 0.4), ("b", 0.4 + more)):
                found = (np.argsort(np.argsort(ability)) < 200 * share).astype(int)
                trials[name].append(make_trial(found.tolist(), seed=seed, lr=lr))
    sweeps = [write_sweep(tmp_path, name, each) for name, each in trials.items()]
    _, table = compare(sweeps[0], sweeps[1], ("a", "b"))
    assert isinstance(table, Comparison)
    assert [row.mark for row in table.compared] == ["tie"] * 3
    for row in table.compared:
        assert row.interval is not None
        assert row.interval.low < 0  # even where both seeds gained 0.1


def test_samples_of_other_data_are_not_paired(tmp_path: Path) -> None:
    first = write_sweep(tmp_path, "a", [make_trial(hits(0.5))])
    trial = make_trial(hits(0.6))
    trial.trial["data_fingerprint"] = "e"
    second = write_sweep(tmp_path, "b", [trial], data={"name": "e", "fingerprint": "e"})
    whole, table = compare(first, second, ("a", "b"))
    assert ["data", "d (d)", "e (e)"] in whole.rows
    assert any("a difference may come from the data alone" in line for line in table.caption)
    assert table.compared[0].mark == ""  # the data differ, so the difference has no mark
    scores = [np.array(hits(share), dtype=float).reshape(-1, 1) for share in (0.6, 0.5)]
    expected = difference(scores[0], scores[1], same_units=False, same_seeds=True)
    assert table.compared[0].interval == expected.estimate


def test_trials_scored_differently_are_not_marked(tmp_path: Path) -> None:
    good, bad = hits(0.9), hits(0.2)
    first = write_sweep(tmp_path, "a", [make_trial(bad, epochs=1)], scoring_params=["epochs"])
    second = write_sweep(tmp_path, "b", [make_trial(good, epochs=2)], scoring_params=["epochs"])
    _, table = compare(first, second, ("a", "b"))
    assert not any("▲" in cell for line in table.rows for cell in line)
    assert any(
        "differ in epochs (1 and 2), which changes what is measured" in c for c in table.caption
    )


def test_one_seed_against_several_counts_the_variance_over_seeds(tmp_path: Path) -> None:
    shares = {0: 0.4, 1: 0.5, 2: 0.6}
    several = [make_trial(hits(share), seed=seed) for seed, share in shares.items()]
    first = write_sweep(tmp_path, "a", [make_trial(hits(0.42))])
    second = write_sweep(tmp_path, "b", several)
    _, table = compare(first, second, ("a", "b"))
    assert isinstance(table, Comparison)
    assert table.compared[0].mark == "tie"
    assert table.compared[0].interval is not None
    assert table.compared[0].interval.high > 0.3
    assert any("over queries and seeds" in line for line in table.caption)


def test_identical_trials_are_marked_as_the_same(tmp_path: Path) -> None:
    trials = [make_trial(hits(0.5))]
    sweeps = [write_sweep(tmp_path, name, trials) for name in "ab"]
    _, table = compare(sweeps[0], sweeps[1], ("a", "b"))
    assert table.compared[0].mark == "same"
    assert table.compared[0].difference == 0
    assert "= the same trials in both sweeps." in table.caption


def test_without_samples_there_is_a_difference_but_no_mark(tmp_path: Path) -> None:
    sweeps = [
        write_sweep(tmp_path, n, [make_trial(hits(s))], paired=[])
        for n, s in (("a", 0.1), ("b", 0.9))
    ]
    _, table = compare(sweeps[0], sweeps[1], ("a", "b"))
    assert (table.compared[0].mark, table.compared[0].interval) == ("", None)
    assert "+80.00" in render_text(
        (DetailTable(title="", headings=["a"], rows=[], caption=[]), table), 80
    )
    assert any("no samples" in line for line in table.caption)


def test_exports_contain_the_same_cells(tmp_path: Path) -> None:
    named = zip(("sweeps", "rows"), two(tmp_path), strict=True)
    document = make_document("toy", "both", list(named))
    for name, export in FORMATS.items():
        if name not in (
            "json",
            "csv",
        ):  # those have numbers: test_table_formats
            assert "+15.00" in export([document])
            assert "2.14" in export([document])
    assert r"$\bigtriangleup$" in FORMATS["latex"]([document])
    whole, table = json.loads(FORMATS["json"]([document]))
    assert whole["rows"][0] == ["epochs", "5", "10"]
    found = next(r for r in table["compared"] if r["mark"] == "better")
    assert found["difference"] == pytest.approx(0.15)
    assert found["interval"]["low"] == pytest.approx(0.1, abs=0.001)
    assert found["first"]["params"]["epochs"] == 5


def test_sweeps_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    first = write_sweep(tmp_path, "a", [make_trial(hits(0.5), lr=lr) for lr in (0.1, 0.2)])
    other_task = write_sweep(tmp_path, "b", [make_trial(hits(0.5))], task="other")
    with pytest.raises(RequestError, match="a is a sweep of toy, but b of other"):
        compare(first, other_task, ("a", "b"))
    empty = write_sweep(tmp_path, "e", [])
    with pytest.raises(RequestError, match="e has no trials yet"):
        compare(first, empty, ("a", "e"))
