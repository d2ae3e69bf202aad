"""Rows, marks and captions of the summary table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_results import PARAMS, manifest, result

from results.export import FORMATS, make_document
from results.storage.reading import read_sweep
from results.storage.store import SweepStore, TrialResult
from results.tables.summary import report_cell, summarize


def test_labeled_row_has_a_footnote(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.add([result(1, 0.1, hits=9), result(2, 0.2, hits=8), result(3, 0.3, hits=1)])
    labels = {0.1: None, 0.2: "ours: lr scaled", 0.3: "ours: another"}
    rows = [
        {"label": label, "params": {"lr": lr}, "report": {} if label else {"metric.r1": 0.5}}
        for lr, label in labels.items()
    ]
    store.write_manifest(manifest(tables=[{"title": "T", "note": "", "rows": rows}]))
    (table,) = summarize(read_sweep(str(tmp_path), "toy", "s"))
    assert [report_cell(row, table) for row in table.rows] == ["50.00", "- †", "- ††"]
    assert {"† ours: lr scaled.", "†† ours: another."} <= set(table.caption)
    document = make_document("toy", "s", [("table", table)])
    for name in ("markdown", "html"):
        assert "- †" in FORMATS[name]([document])
    assert r"- $\dagger$" in FORMATS["latex"]([document])


def captions(tmp_path: Path, trials: list[TrialResult], **more: Any) -> list[str]:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.add(trials)
    store.write_manifest(manifest(**more))
    (table,) = summarize(read_sweep(str(tmp_path), "toy", "s"))
    marks = [row.mark for row in table.rows]
    return [line for line in table.caption if line.startswith("★")] + marks


def test_caption_of_one_seed_excludes_other_seeds(tmp_path: Path) -> None:
    trials = [result(1, 0.1, hits=10), result(2, 0.2, hits=9), result(3, 0.3, hits=0)]
    line, *marks = captions(tmp_path, trials)
    assert line == (
        "★ best; ≈ not distinguishable from it; rows without a mark are significantly worse (5 % "
        "error over the whole table, paired by query, over queries only: one seed says nothing "
        "about other seeds)."
    )
    assert marks == ["best", "tie", ""]


def test_caption_of_several_seeds(tmp_path: Path) -> None:
    trials = [
        result(10 * row + seed, 0.1 * (row + 1), seed=seed, hits=9 - 8 * row)
        for row in range(2)
        for seed in range(3)
    ]
    trials.append(result(99, 0.9, seed=0, hits=10))  # one of three seeds
    line, *marks = captions(tmp_path, trials, seeds=[0, 1, 2])
    assert line == (
        "★ best; rows without a mark are significantly worse (5 % error over the whole table, "
        "paired by query, over queries and seeds). Rows with a status are not tested."
    )
    assert marks == ["best", "", ""]


def test_equal_rows_have_no_best(tmp_path: Path) -> None:
    assert captions(tmp_path, [result(n, n / 10, hits=0) for n in (1, 2, 3)]) == ["", "", ""]


def test_values_that_print_as_zero_have_no_best(tmp_path: Path) -> None:
    trials = [result(n, n / 10, hits=0) for n in (1, 2)]
    trials[1].trial["metric.r1"] = 3e-5  # type: ignore[index]
    assert captions(tmp_path, trials) == ["", ""]


def test_caption_describes_only_shown_rows(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.add([result(1, 0.1, hits=10), result(2, 0.2, hits=9), result(3, 0.3, hits=0)])
    store.write_manifest(manifest())
    sweep = read_sweep(str(tmp_path), "toy", "s")
    (table,) = summarize(sweep, max_rows=2)
    assert (len(table.rows), table.num_hidden) == (2, 1)
    assert table.caption[0] == "1 further configuration is not shown; --all shows it."
    (line,) = [line for line in table.caption if line.startswith("★")]
    assert "significantly worse" not in line  # the row that is worse is hidden
    assert "over all 3 configurations" in line
    (table,) = summarize(sweep, max_rows=None)
    assert (len(table.rows), table.num_hidden) == (3, 0)
    (line,) = [line for line in table.caption if line.startswith("★")]
    assert "rows without a mark are significantly worse" in line
    assert not any("not shown" in line for line in table.caption)


def test_status_is_one_word_and_explained_below(tmp_path: Path) -> None:
    found = [result(n, n / 10, hits=9) for n in range(1, 6)]
    statuses = ("stopped", "interrupted", "failed", "cancelled")
    for each, status, steps in zip(found, statuses, (1, 2, 0, 1), strict=False):
        each.trial.update(status=status, num_steps=steps)  # type: ignore[attr-defined]
    found[2].trial["reason"] = "RuntimeError: it broke"  # type: ignore[index]
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.add(found)
    store.write_manifest(manifest())
    (table,) = summarize(read_sweep(str(tmp_path), "toy", "s"))
    shown = {row.params["lr"]: (row.status, row.reason) for row in table.rows}
    assert shown == {
        0.1: ("pruned@1", ""),
        0.2: ("interrupted@2", ""),
        0.3: ("failed", "RuntimeError: it broke"),
        0.4: ("cancelled", ""),
        0.5: ("", ""),
    }
    assert not table.rows[0].status  # complete rows come first
    assert any(line.startswith("pruned@N:") for line in table.caption)
    assert any(line.startswith("interrupted@N:") for line in table.caption)
    assert any(line.startswith("cancelled:") for line in table.caption)


def test_without_samples_there_is_a_best_row_but_no_test(tmp_path: Path) -> None:
    trials = [result(1, 0.1, hits=10), result(2, 0.2, hits=1)]
    line, *marks = captions(tmp_path, trials, paired=[])
    assert line == (
        "★ best; differences are not tested, because that needs scores per unit of complete rows."
    )
    assert marks == ["best", ""]


def test_sweep_with_a_named_formula_is_read(tmp_path: Path) -> None:
    values = [[4, 3, 2, 1, 5, 4, 3, 2, 5, 5]] * 8 + [[1, 0, 0, 0, 5, 4, 3, 2, 5, 6]] * 2
    trial = result(1)
    samples: dict[str, Any] = {"image": list(range(10)), "bleu_statistics": values}
    trial = TrialResult(trial=trial.trial, steps=[], samples=samples)
    old = {"metric": "r1", "unit": "image", "value": "bleu_statistics", "at_most": None}
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.add([trial])
    store.write_manifest(manifest(paired=[old | {"where": {}, "formula": "bleu4"}]))
    (table,) = summarize(read_sweep(str(tmp_path), "toy", "s"))
    found = table.rows[0].estimate
    assert found is not None
    sums = np.sum(values, axis=0)
    precisions = np.log(sums[:4] / sums[4:8]).mean()
    assert found.mean == pytest.approx(100 * np.exp(precisions + 1 - sums[9] / sums[8]))
    assert found.low < found.mean < found.high


def test_pruned_row_shows_its_first_seed(tmp_path: Path) -> None:
    """The mean of seeds that stopped after different steps means nothing."""
    trials = [
        result(0, lr=0.1, hits=9),
        result(1, lr=0.1, seed=1, hits=9),
        stopped(2, num_steps=1, hits=3),
        stopped(3, num_steps=2, seed=1, hits=6),
    ]
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest(seeds=[0, 1]))
    store.add(trials)
    (table,) = summarize(read_sweep(str(tmp_path), "toy", "s"))
    pruned = next(row for row in table.rows if row.status)
    assert (pruned.status, pruned.metrics["metric.r1"]) == ("pruned@1", 0.3)
    assert any("its first seed was stopped early" in line for line in table.caption)


def stopped(number: int, *, num_steps: int, hits: int, seed: int = 0) -> TrialResult:
    found = result(number, lr=0.2, seed=seed, hits=hits)
    row = {**found.trial, "status": "stopped", "num_steps": num_steps}
    return TrialResult(trial=row, steps=found.steps, samples=found.samples)


def test_complete_row_is_best_before_an_incomplete_one(tmp_path: Path) -> None:
    trials = [result(0, lr=0.1, hits=5), result(1, lr=0.1, seed=1, hits=5), result(2, 0.2, hits=9)]
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest(seeds=[0, 1]))
    store.add(trials)
    (table,) = summarize(read_sweep(str(tmp_path), "toy", "s"))
    assert {row.status: row.mark for row in table.rows} == {"": "best", "1/2 seeds": ""}
    assert any(line.startswith("★ best; differences are not tested") for line in table.caption)


def test_best_is_provisional_until_a_row_is_complete(tmp_path: Path) -> None:
    lines = captions(tmp_path, [result(0, 0.1, hits=5), result(1, 0.2, hits=9)], seeds=[0, 1])
    assert any(line.startswith("★ best so far; differences are not tested") for line in lines)


def test_rows_scored_differently_are_not_compared(tmp_path: Path) -> None:
    trials = [result(0, 0.1, hits=2), result(1, 0.2, hits=9)]
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest(scoring_params=["lr"]))
    store.add(trials)
    (table,) = summarize(read_sweep(str(tmp_path), "toy", "s"))
    assert [row.mark for row in table.rows] == ["", ""]
    assert any("differ in lr, which changes what is measured" in line for line in table.caption)


def test_no_pareto_front_without_a_trade_off(tmp_path: Path) -> None:
    columns = [
        *manifest().to_json()["columns"],
        {"key": "metric.b", "label": "B", "format": "number"},
    ]
    columns[-1]["pick"] = "last"
    trials = [result(number, lr=number / 10, hits=5) for number in range(3)]
    for number, each in enumerate(trials):
        each.trial["metric.b"] = float(number)  # type: ignore[index]
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest(columns=columns, front=["r1", "b"]))
    store.add(trials)
    (table,) = summarize(read_sweep(str(tmp_path), "toy", "s"))
    assert not any(row.on_front for row in table.rows)


def test_title_of_an_incomplete_sweep_has_the_total(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest(seeds=[0, 1], num_trials=8))
    store.add([result(0, lr=0.1), result(1, lr=0.2)])
    (table,) = summarize(read_sweep(str(tmp_path), "toy", "s"))
    assert table.title == "toy: s, 2 of 4 configurations, best first"


def test_caption_mentions_untested_rows(tmp_path: Path) -> None:
    trials = [result(0, 0.1, hits=10), result(1, 0.3, hits=0), stopped(2, num_steps=1, hits=5)]
    line, *_ = captions(tmp_path, trials)
    assert line.startswith("★ best; rows without a mark are significantly worse")
    assert line.endswith("Rows with a status are not tested.")


def test_metrics_without_values_and_parameters_that_are_not_set_are_left_out(
    tmp_path: Path,
) -> None:
    schema = PARAMS | {"width": "float", "depth": "float"}
    store = SweepStore(str(tmp_path), "toy", "s", schema)
    trials = [result(1, 0.1), result(2, 0.2)]
    more = {"param.width": None, "param.depth": 3.0, "metric.r5": 0.5}
    store.add([replace(trial, trial={**trial.trial, **more}) for trial in trials])
    columns = [
        {"key": f"metric.{name}", "label": name, "format": "number", "pick": "last"}
        for name in ("r1", "r5", "r10")
    ]
    store.write_manifest(manifest(params=schema, columns=columns))
    (table,) = summarize(read_sweep(str(tmp_path), "toy", "s"))
    assert [column.label for column in table.metrics] == ["r5"]
    assert "All rows: depth 3." in table.caption
