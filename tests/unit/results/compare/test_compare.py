"""Two sweeps side by side: what is matched with what, and how sure a difference is."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compared_sweeps import hits, one, write
from harness import run_command
from rich.console import Console

from results.compare import sweeps as compared
from results.compare.matching import match
from results.compare.sweeps import Comparison
from results.compare.view import render_comparison
from results.export import FORMATS, make_document
from results.statistics import average_of_differences, difference
from results.tables.details import DetailTable
from results.tables.summary import SummaryRow
from tasks.contract import RequestError


def compare(first: Any, second: Any, names: tuple[str, str]) -> tuple[DetailTable, Any]:
    """The two tables; the second is of either kind."""
    return compared.compare(first, second, names)


def text(tables: tuple[DetailTable, DetailTable], width: int) -> str:
    console = Console(width=width, record=True, color_system=None, file=io.StringIO())
    console.print(render_comparison(*tables))
    return console.export_text()


def row(**params: Any) -> SummaryRow:
    return SummaryRow(params=params, metrics={})


# --- which rows belong together -------------------------------------------------------------------


def test_rows_are_matched_by_what_varies_in_either_sweep() -> None:
    first = [row(lr=lr, epochs=5) for lr in (0.1, 0.2, 0.3)]
    second = [row(lr=lr, epochs=10) for lr in (0.3, 0.2, 0.4)]
    found = match(first, second)
    assert [(a.params["lr"], b.params["lr"]) for a, b in found.pairs] == [(0.2, 0.2), (0.3, 0.3)]
    assert [r.params["lr"] for r in found.only_first] == [0.1]
    assert [r.params["lr"] for r in found.only_second] == [0.4]
    assert (found.apart, found.matched) == (["epochs"], ["lr"])


def test_rows_that_a_setting_made_one_are_each_beside_it() -> None:
    first = [row(lr=0.1, epochs=0), row(lr=0.1, epochs=3), row(lr=0.2, epochs=3)]
    second = [row(lr=0.1, epochs=10), row(lr=0.2, epochs=10)]
    found = match(first, second)
    assert [(a.params["epochs"], b.params["lr"]) for a, b in found.pairs] == [
        (0, 0.1),
        (3, 0.1),
        (3, 0.2),
    ]
    assert found.apart == ["epochs"]


def test_a_setting_that_has_no_effect_in_one_row_still_differs_as_a_whole() -> None:
    # Without training, the batch size is its default again.
    first = [row(epochs=0, batch=16), row(epochs=3, batch=16), row(epochs=5, batch=16)]
    second = [row(epochs=0, batch=16), row(epochs=3, batch=64), row(epochs=5, batch=64)]
    found = match(first, second)
    assert found.apart == ["batch"]
    assert [(a.params["epochs"], b.params["batch"]) for a, b in found.pairs] == [
        (0, 16),
        (3, 64),
        (5, 64),
    ]


def test_an_equal_row_is_preferred_to_one_that_differs_as_a_whole() -> None:
    first = [row(lr=0.1), row(lr=0.2), row(lr=0.2, start="random")]
    found = match(first, [row(lr=0.2, start="random")])
    assert [(a.params, b.params) for a, b in found.pairs] == [(first[2].params, first[2].params)]
    assert found.only_first == first[:2]


def test_two_grids_over_a_parameter_are_matched_by_it() -> None:
    grid = [row(lr=lr, t=t) for lr in (0.1, 0.2, 0.3) for t in (1, 2)]
    found = match([row(lr=0.1, t=t) for t in (1, 2)], grid)
    assert all(a.params == b.params for a, b in found.pairs)
    assert len(found.pairs) == 2
    assert len(found.only_second) == 4


def test_a_row_beside_several_is_counted_once(tmp_path: Path) -> None:
    first = write(
        tmp_path, "a", [one(hits(0.4), lr=0.1, epochs=e) for e in (0, 3)] + [one(hits(0.5), lr=0.2)]
    )
    second = write(
        tmp_path,
        "b",
        [one(hits(share), lr=lr, epochs=10) for lr, share in ((0.1, 0.5), (0.2, 0.6))],
    )
    _, table = compare(first, second, ("a", "b"))
    counted = "3 configurations of a beside 2 of b, which differ in epochs, 0 in a alone"
    assert any(line.startswith(counted) for line in table.caption)


# --- tables ---------------------------------------------------------------------------------------


def two(tmp_path: Path) -> tuple[DetailTable, Any]:
    first = write(
        tmp_path,
        "short",
        [
            one(hits(0.40), lr=0.1),
            one(hits(0.50), lr=0.2),
            one(hits(0.60), lr=0.3),
            one(hits(0.70), lr=0.4),
            one(None, lr=0.5, status="failed"),
        ],
    )
    second = write(
        tmp_path,
        "long",
        [
            one(hits(0.55), lr=0.1, epochs=10),
            one(hits(0.50), lr=0.2, epochs=10),
            one(hits(0.30), lr=0.3, epochs=10),
            one(hits(0.20), lr=0.9, epochs=10),
            one(hits(0.20), lr=0.5, epochs=10),
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
    assert "4 configurations in both, 1 in short alone, 1 in long alone." in table.caption
    assert any("that row alone], paired by query, over queries only" in c for c in table.caption)


@pytest.mark.parametrize("width", [80, 160])
def test_a_comparison_fits_its_terminal(tmp_path: Path, width: int) -> None:
    told = text(two(tmp_path), width)
    assert max(map(len, told.splitlines())) <= width
    assert "…" not in told
    for cell in ("▲ +15.00", "[10.0, 20.0]", "▼ -30.00", "failed", "55.00", "2.5"):
        assert cell in told
    assert ("[10.0, 20.0]" in next(line for line in told.splitlines() if "▲ +15.00" in line)) == (
        width == 160
    )


def test_many_parameters_share_a_column_where_there_is_no_room(tmp_path: Path) -> None:
    def trials(**more: Any) -> list[Any]:
        return [
            one(hits(0.4), start=f"a-start-with-a-long-name-{n}", lr=n / 10, epochs=n, **more)
            for n in (1, 2, 3)
        ]

    first = write(tmp_path, "a" * 30, trials())
    second = write(tmp_path, "b" * 100, trials())
    told = text(compare(first, second, ("a" * 30, "b" * 100)), 80)
    assert max(map(len, told.splitlines())) <= 80
    assert "configuration" in told
    assert "…" not in told


def test_many_equal_rows_are_no_differences(tmp_path: Path) -> None:
    # Each row alone is beyond chance at 5 %; of ten, Holm keeps the one that is far beyond.
    def sweep(name: str, shares: Sequence[float]) -> Any:
        return write(tmp_path, name, [one(hits(s), lr=n) for n, s in enumerate(shares)])

    first, second = sweep("a", [0.50] * 10), sweep("b", [0.535] * 9 + [0.7])
    _, table = compare(first, second, ("a", "b"))
    for row in table.compared:
        assert row.interval is not None
        assert row.p_value is not None
        assert row.interval.low > 0
    marks = {row.first.params["lr"]: row.mark for row in table.compared if row.first}
    assert [marks[n] for n in range(10)] == ["tie"] * 9 + ["better"]
    assert any("5 % error over all rows together, by Holm's method" in c for c in table.caption)


def test_a_smaller_error_is_better(tmp_path: Path) -> None:
    metric = {"name": "r1", "label": "error", "direction": "minimize"}
    first = write(tmp_path, "a", [one(hits(0.5))], metric=metric)
    second = write(tmp_path, "b", [one(hits(0.3))], metric=metric)
    _, table = compare(first, second, ("a", "b"))
    assert [r.mark for r in table.compared] == ["better"]


def test_seeds_are_pooled_and_paired_where_both_have_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    scores = rng.random((2, 100, 3)) < np.array([0.4, 0.5]).reshape(2, 1, 1)
    sweeps = [
        write(tmp_path, name, [one(part[:, s].astype(int), seed=s) for s in range(3)])
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

    fewer = write(tmp_path, "c", [one(theirs[:, s].astype(int), seed=s) for s in range(2)])
    _, table = compare(sweeps[0], fewer, ("a", "c"))
    average = average_of_differences([(theirs[:, :2], ours)], same_seeds=False)
    expected = difference(theirs[:, :2], ours, same_seeds=False, average=average)
    assert table.compared[0].interval == expected.estimate


def test_seeds_that_agree_by_luck_are_not_believed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shift = {0.1: (0.1, 0.1), 0.2: (0.2, 0.0), 0.3: (0.0, 0.2)}  # of each seed in the second sweep
    trials: dict[str, list[Any]] = {"a": [], "b": []}
    for lr, shifts in shift.items():
        for seed, more in enumerate(shifts):
            ability = rng.random(200)
            for name, share in (("a", 0.4), ("b", 0.4 + more)):
                found = (np.argsort(np.argsort(ability)) < 200 * share).astype(int)
                trials[name].append(one(found.tolist(), seed=seed, lr=lr))
    sweeps = [write(tmp_path, name, each) for name, each in trials.items()]
    _, table = compare(sweeps[0], sweeps[1], ("a", "b"))
    assert isinstance(table, Comparison)
    assert [row.mark for row in table.compared] == ["tie"] * 3
    for row in table.compared:
        assert row.interval is not None
        assert row.interval.low < 0  # also where both seeds gave 0.1


def test_samples_of_other_data_are_not_paired(tmp_path: Path) -> None:
    first = write(tmp_path, "a", [one(hits(0.5))])
    trial = one(hits(0.6))
    trial.trial["data_fingerprint"] = "e"
    second = write(tmp_path, "b", [trial], data={"name": "e", "fingerprint": "e"})
    whole, table = compare(first, second, ("a", "b"))
    assert ["data", "d (d)", "e (e)"] in whole.rows
    assert any("a difference may come from the data alone" in line for line in table.caption)
    assert table.compared[0].mark == ""  # 10 queries are easier than 1000
    scores = [np.array(hits(share), dtype=float).reshape(-1, 1) for share in (0.6, 0.5)]
    expected = difference(scores[0], scores[1], same_units=False, same_seeds=True)
    assert table.compared[0].interval == expected.estimate


def test_trials_that_were_scored_in_different_ways_are_not_marked(tmp_path: Path) -> None:
    good, bad = hits(0.9), hits(0.2)
    first = write(tmp_path, "a", [one(bad, epochs=1)], scoring_params=["epochs"])
    second = write(tmp_path, "b", [one(good, epochs=2)], scoring_params=["epochs"])
    _, table = compare(first, second, ("a", "b"))
    assert not any("▲" in cell for line in table.rows for cell in line)
    assert any(
        "differ in epochs (1 and 2), which changes what is measured" in c for c in table.caption
    )


def test_one_seed_against_several_counts_the_variance_over_seeds(tmp_path: Path) -> None:
    shares = {0: 0.4, 1: 0.5, 2: 0.6}
    several = [one(hits(share), seed=seed) for seed, share in shares.items()]
    first = write(tmp_path, "a", [one(hits(0.42))])
    second = write(tmp_path, "b", several)
    _, table = compare(first, second, ("a", "b"))
    assert isinstance(table, Comparison)
    assert table.compared[0].mark == "tie"
    assert table.compared[0].interval is not None
    assert table.compared[0].interval.high > 0.3
    assert any("over queries and seeds" in line for line in table.caption)


def test_the_same_trials_are_said_to_be_the_same(tmp_path: Path) -> None:
    trials = [one(hits(0.5))]
    sweeps = [write(tmp_path, name, trials) for name in "ab"]
    _, table = compare(sweeps[0], sweeps[1], ("a", "b"))
    assert table.compared[0].mark == "same"
    assert table.compared[0].difference == 0
    assert "= the same trials in both sweeps." in table.caption


def test_without_samples_there_is_a_difference_and_no_verdict(tmp_path: Path) -> None:
    sweeps = [write(tmp_path, n, [one(hits(s))], paired=[]) for n, s in (("a", 0.1), ("b", 0.9))]
    _, table = compare(sweeps[0], sweeps[1], ("a", "b"))
    assert (table.compared[0].mark, table.compared[0].interval) == ("", None)
    assert "+80.00" in text((DetailTable(title="", headings=["a"], rows=[], caption=[]), table), 80)
    assert any("no samples" in line for line in table.caption)


def test_exports_hold_the_same_cells(tmp_path: Path) -> None:
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


def test_what_cannot_be_compared_is_said_in_a_line(tmp_path: Path) -> None:
    first = write(tmp_path, "a", [one(hits(0.5), lr=lr) for lr in (0.1, 0.2)])
    other_task = write(tmp_path, "b", [one(hits(0.5))], task="other")
    with pytest.raises(RequestError, match="a is a sweep of toy, b of other"):
        compare(first, other_task, ("a", "b"))
    empty = write(tmp_path, "e", [])
    with pytest.raises(RequestError, match="e has no trials yet"):
        compare(first, empty, ("a", "e"))


# --- sweeps without a common configuration --------------------------------------------------------


def test_without_a_common_row_the_bests_and_the_spread_are_compared(tmp_path: Path) -> None:
    shares = {0.1: 0.4, 0.2: 0.5, 0.25: 0.7}
    first = write(tmp_path, "a", [one(hits(share), lr=lr) for lr, share in shares.items()])
    others = {0.3: 0.2, 0.4: 0.9}
    trials = [one(hits(share), lr=lr, epochs=8 * lr) for lr, share in others.items()]
    failed = one(None, lr=0.5, status="failed")
    second = write(tmp_path, "c", [*trials, failed])
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
    assert "Each best was chosen on the data that scores it" in found.caption[2]
    for width in (60, 80, 160):
        shown = text((_, found), width)
        assert "70.00" in shown
        assert max(map(len, shown.splitlines())) <= width
    document = make_document("toy", "a-and-c", [("configurations", found)])
    for name, export in FORMATS.items():
        assert "90.00" in export([document]), name


def test_bests_without_samples_have_no_interval_and_smaller_may_be_better(tmp_path: Path) -> None:
    metric = {"name": "r1", "label": "error", "direction": "minimize"}
    sweeps = []
    for name, lrs in (("a", (0.1, 0.2)), ("c", (0.3, 0.4))):
        trials = [one(None, lr=lr) for lr in lrs]
        for trial in trials:
            trial.trial["metric.r1"] = trial.trial["param.lr"]
        sweeps.append(write(tmp_path, name, trials, metric=metric))
    _, found = compare(sweeps[0], sweeps[1], ("a", "c"))
    assert ["best", "10.00", "30.00"] in found.rows
    assert ["worst", "20.00", "40.00"] in found.rows
    assert found.caption[1].endswith("+20.00; there are no samples for an interval.")


def test_a_sweep_without_a_finished_trial_has_no_best(tmp_path: Path) -> None:
    first = write(tmp_path, "a", [one(hits(0.5), lr=lr) for lr in (0.1, 0.2)])
    failed = [one(None, lr=lr, status="failed") for lr in (0.3, 0.4)]
    second = write(tmp_path, "c", failed)
    with pytest.raises(RequestError, match="c has no finished trial yet; run its sweep first"):
        compare(first, second, ("a", "c"))


# --- the command ----------------------------------------------------------------------------------


def run(*args: str, cwd: Path, status: int = 0, **more: str) -> str:
    done = run_command(*args, cwd=cwd, **more)
    assert done.returncode == status, done.stdout + done.stderr
    if status == 2:
        assert len(done.stderr.splitlines()) == 1
        return done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweeps")
    sweep = ("sweep", "toy", "--engine", "local")
    run(*sweep, cwd=folder)
    run(*sweep, "--set", "epochs=40", "--name", "long", "--out", "elsewhere", cwd=folder)
    return folder


def test_two_real_sweeps_side_by_side(sweeps: Path) -> None:
    told = run("compare", "paper", "elsewhere/toy/long", cwd=sweeps, COLUMNS="100")
    assert "epochs" in told
    rows = [line.split() for line in told.splitlines() if line.split()[:1] in (["1"], ["9"])]
    assert len(rows) == 2
    assert "4 configurations in both, 0 in paper alone, 0 in long alone." in told
    assert "paired by point" in told
    table = json.loads(
        run("compare", "toy/paper", "elsewhere/toy/long", "--format", "json", cwd=sweeps)
    )[1]
    for found in table["compared"]:
        assert found["difference"] == pytest.approx(
            found["second"]["metrics"]["metric.error"] - found["first"]["metrics"]["metric.error"]
        )


def test_wrong_requests_are_one_line(sweeps: Path) -> None:
    told = run("compare", "paper", "lnog", "--out", "elsewhere", cwd=sweeps, status=2)
    assert "no sweep named 'paper' under elsewhere" in told
    told = run("compare", "paper", "paper", "--format", "xml", cwd=sweeps, status=2)
    assert "--format takes" in told
    told = run("compare", "paper", "nowhere/toy/paper", cwd=sweeps, status=2)
    assert "no sweeps under nowhere; run `python -m orchestrator sweep toy --out nowhere`" in told
