"""The store keeps what is added, and tables say what is there."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from toy_results import PARAMS, manifest, result

from results.export import FORMATS, make_document
from results.render.sweep_tables import render, shared_work
from results.storage.reading import find_sweeps, known_trials, read_sweep
from results.storage.store import SweepStore, TrialResult, check_name
from results.tables.summary import report_cell, summarise
from tasks.contract import StoreError


def test_pandas_reads_the_tables_as_they_stand(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.add([result(1), result(2, lr=0.2)])
    store.add([result(3, lr=0.3)])
    trials = pd.read_parquet(Path(store.path) / "trials")
    assert sorted(trials["trial_id"]) == ["t1", "t2", "t3"]
    assert trials["param.lr"].dtype == np.float64
    store.compact()
    assert sorted(pd.read_parquet(Path(store.path) / "trials")["trial_id"]) == ["t1", "t2", "t3"]


@pytest.mark.parametrize("compact", [False, True])
def test_of_two_parts_with_one_trial_the_later_is_right(tmp_path: Path, compact: bool) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest())
    for lr in (0.1, 0.2, 0.3, 0.4):  # names drawn at random must not decide
        store.add([result(1, lr=lr, hits=int(10 * lr))])
        if compact:
            store.add([result(2, lr=lr)])
            store.compact()
    sweep = read_sweep(str(tmp_path), "toy", "s")
    (row,) = [row for row in sweep.rows() if row["trial_id"] == "t1"]
    assert row["param.lr"] == 0.4
    samples = [s for s in sweep.samples.to_pylist() if s["trial_id"] == "t1"]
    expected = result(1, lr=0.4, hits=4).samples
    assert expected is not None
    assert [s["rank"] for s in samples] == list(expected["rank"])


def test_equal_sample_rows_of_one_trial_are_all_kept(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    twice = TrialResult(
        trial=result(1).trial, steps=result(1).steps, samples={"caption": ["a dog", "a dog"]}
    )
    store.add([twice])
    store.add([result(2)])
    store.compact()
    store.write_manifest(manifest())
    sweep = read_sweep(str(tmp_path), "toy", "s")
    assert sum(row["trial_id"] == "t1" for row in sweep.samples.to_pylist()) == 2


def test_shared_work_adds_up_over_the_runs_of_a_sweep(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest())
    assert shared_work(read_sweep(str(tmp_path), "toy", "s")) == ""
    run = {"run": datetime.now(UTC), "key": "k", "label": "encode(split=val)"}
    store.add_stages([run | {"seconds": 30.0, "uses": 8}])
    store.add_stages([run | {"seconds": None, "uses": 2}])  # a later run, from the cache
    sweep = read_sweep(str(tmp_path), "toy", "s")
    assert sweep.stages.num_rows == 2
    assert shared_work(sweep) == (
        "Shared work: 1 stage computed in 30.0 s, 1 read from the cache, used 10 times; "
        "4.5 min not spent again."  # nine times 30 s
    )


def test_shared_work_says_where_stages_come_from(tmp_path: Path) -> None:
    """Computed, kept by an earlier run, and read from the cache are three things."""
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest())
    run = {"run": datetime.now(UTC), "key": "k", "label": "encode(split=val)"}
    store.add_stages([run | {"seconds": 30.0, "uses": 0, "source": "computed"}])
    first = shared_work(read_sweep(str(tmp_path), "toy", "s"))
    assert first == "Shared work: 1 stage computed in 30.0 s, not used yet."
    other = run | {"key": "other", "seconds": None, "uses": 2, "source": "cache"}
    store.add_stages([run | {"seconds": None, "uses": 4, "source": "kept"}, other])
    assert shared_work(read_sweep(str(tmp_path), "toy", "s")) == (
        "Shared work: 1 stage computed in 30.0 s, 1 kept from an earlier run, "
        "1 read from the cache, used 6 times; 90.0 s not spent again."  # 4 x 30 s, less 30 s
    )


def test_an_interrupted_trial_is_shown_and_counts_last(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest())
    whole = result(1, hits=7)
    cut = TrialResult(
        trial={**result(1).trial, "status": "interrupted", "num_steps": 2},
        steps=[{**result(1).steps[0], "at": at} for at in (1, 2)],
        samples=None,
    )
    unstarted = {**result(2, lr=0.2).trial, "status": "interrupted", "num_steps": 0}
    unstarted["metric.r1"] = None
    store.add([cut, TrialResult(trial=unstarted, steps=[], samples=None)])
    sweep = read_sweep(str(tmp_path), "toy", "s")
    assert [step["at"] for step in sweep.steps_of("t1")] == [1, 2]
    assert known_trials(str(tmp_path), "toy") == {}  # both are still to run
    (table,) = summarise(sweep)
    statuses = {row.params["lr"]: row.status for row in table.rows}
    assert statuses == {0.1: "interrupted@2", 0.2: "not run"}
    assert table.rows[0].metrics["metric.r1"] == 0.5
    assert not any(row.mark for row in table.rows)
    store.add([whole])
    store.add([cut])  # by another driver, too late
    store.compact()
    (row,) = (r for r in read_sweep(str(tmp_path), "toy", "s").rows() if r["trial_id"] == "t1")
    assert (row["status"], row["metric.r1"]) == ("finished", 0.7)


def test_a_damaged_part_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.add([result(1)])
    store.write_manifest(manifest())
    (Path(store.path) / "trials" / "bad.parquet").write_bytes(b"PAR1 cut short")
    sweep = read_sweep(str(tmp_path), "toy", "s")
    assert sweep.trials["trial_id"].to_pylist() == ["t1"]
    assert [Path(p).name for p in sweep.damaged] == ["bad.parquet"]


def test_sweeps_are_found_and_their_trials_known(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest())
    store.add([result(1)])
    assert find_sweeps(str(tmp_path)) == [("toy", "s")]
    assert known_trials(str(tmp_path), "toy")["t1"][0] == "s"


@pytest.mark.parametrize("name", ["..", "a/b", "", "-x", ".hidden", "a" * 200, "a\nb"])
def test_names_that_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(StoreError, match="a name is letters"):
        check_name(name)


# --- tables ---------------------------------------------------------------------------------------


def rendered(tmp_path: Path, width: int) -> str:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.add([result(1, 0.1, hits=9), result(2, 0.2, hits=8), result(3, 0.3, hits=1)])
    rows = [
        {"label": None, "params": {"lr": lr}, "report": {"metric.r1": number}}
        for lr, number in ((0.1, 0.5838), (0.2, 0.4), (0.3, 0.3), (0.1, 0.5935), (0.9, 0.2))
    ]
    store.write_manifest(manifest(tables=[{"title": "T", "note": "", "rows": rows}]))
    console = Console(width=width, record=True, color_system=None, file=io.StringIO())
    console.print(render(read_sweep(str(tmp_path), "toy", "s")))
    return console.export_text()


def test_cells_of_the_summary(tmp_path: Path) -> None:
    text = rendered(tmp_path, 80)
    lines = [line.split() for line in text.splitlines()]
    best = next(line for line in lines if line[:1] == ["t1"])
    assert best[1:4] == ["0.1", "★", "90.00"]
    assert best[-2:] == ["58.38,", "59.35"]  # one configuration, run twice by the paper
    assert next(line for line in lines if line[:1] == ["t2"])[1:4] == ["0.2", "≈", "80.00"]
    assert next(line for line in lines if line[:1] == ["t3"])[1:3] == ["0.3", "10.00"]
    assert next(line for line in lines if line[:1] == ["0.9"])[-2:] == ["not", "run"]
    assert max(map(len, text.splitlines())) <= 80


def test_a_labeled_row_is_marked_and_explained(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.add([result(1, 0.1, hits=9), result(2, 0.2, hits=8), result(3, 0.3, hits=1)])
    labels = {0.1: None, 0.2: "ours: lr scaled", 0.3: "ours: another"}
    rows = [
        {"label": label, "params": {"lr": lr}, "report": {} if label else {"metric.r1": 0.5}}
        for lr, label in labels.items()
    ]
    store.write_manifest(manifest(tables=[{"title": "T", "note": "", "rows": rows}]))
    (table,) = summarise(read_sweep(str(tmp_path), "toy", "s"))
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
    (table,) = summarise(read_sweep(str(tmp_path), "toy", "s"))
    marks = [row.mark for row in table.rows]
    return [line for line in table.caption if line.startswith("★")] + marks


def test_one_seed_says_nothing_about_others(tmp_path: Path) -> None:
    trials = [result(1, 0.1, hits=10), result(2, 0.2, hits=9), result(3, 0.3, hits=0)]
    line, *marks = captions(tmp_path, trials)
    assert line == (
        "★ best; ≈ not distinguishable from it; rows without a mark are significantly worse (5 % "
        "error over the whole table, paired by query, over queries only: one seed says nothing "
        "about other seeds)."
    )
    assert marks == ["best", "tie", ""]


def test_several_seeds_are_tested_together(tmp_path: Path) -> None:
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


def test_captions_describe_the_rows_that_are_shown(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.add([result(1, 0.1, hits=10), result(2, 0.2, hits=9), result(3, 0.3, hits=0)])
    store.write_manifest(manifest())
    sweep = read_sweep(str(tmp_path), "toy", "s")
    (table,) = summarise(sweep, max_rows=2)
    assert (len(table.rows), table.num_hidden) == (2, 1)
    assert table.caption[0] == "1 further configuration is not shown; --all shows it."
    (line,) = [line for line in table.caption if line.startswith("★")]
    assert "significantly worse" not in line  # the row that is worse is hidden
    assert "over all 3 configurations" in line
    (table,) = summarise(sweep, max_rows=None)
    assert (len(table.rows), table.num_hidden) == (3, 0)
    (line,) = [line for line in table.caption if line.startswith("★")]
    assert "rows without a mark are significantly worse" in line
    assert not any("not shown" in line for line in table.caption)


def test_a_status_is_one_word_and_the_reason_is_below(tmp_path: Path) -> None:
    found = [result(n, n / 10, hits=9) for n in range(1, 5)]
    for each, status, steps in zip(
        found, ("stopped", "interrupted", "failed"), (1, 2, 0), strict=False
    ):
        each.trial.update(status=status, num_steps=steps)  # type: ignore[attr-defined]
    found[2].trial["reason"] = "RuntimeError: it broke"  # type: ignore[index]
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.add(found)
    store.write_manifest(manifest())
    (table,) = summarise(read_sweep(str(tmp_path), "toy", "s"))
    assert [row.status for row in table.rows] == ["", "pruned@1", "interrupted@2", "failed"]
    assert [row.reason for row in table.rows] == ["", "", "", "RuntimeError: it broke"]
    assert any(line.startswith("pruned@N:") for line in table.caption)
    assert any(line.startswith("interrupted@N:") for line in table.caption)


def test_without_scores_there_is_a_best_row_and_no_verdict(tmp_path: Path) -> None:
    trials = [result(1, 0.1, hits=10), result(2, 0.2, hits=1)]
    line, *marks = captions(tmp_path, trials, paired=[])
    assert line == "★ best; no test of the difference: it takes scores per unit of complete rows."
    assert marks == ["best", ""]


def test_a_sweep_of_before_formulas_reads_as_it_did(tmp_path: Path) -> None:
    values = [[4, 3, 2, 1, 5, 4, 3, 2, 5, 5]] * 8 + [[1, 0, 0, 0, 5, 4, 3, 2, 5, 6]] * 2
    trial = result(1)
    samples: dict[str, Any] = {"image": list(range(10)), "bleu_statistics": values}
    trial = TrialResult(trial=trial.trial, steps=[], samples=samples)
    old = {"metric": "r1", "unit": "image", "value": "bleu_statistics", "at_most": None}
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.add([trial])
    store.write_manifest(manifest(paired=[old | {"where": {}, "formula": "bleu4"}]))
    (table,) = summarise(read_sweep(str(tmp_path), "toy", "s"))
    found = table.rows[0].estimate
    assert found is not None
    sums = np.sum(values, axis=0)
    precisions = np.log(sums[:4] / sums[4:8]).mean()
    assert found.mean == pytest.approx(100 * np.exp(precisions + 1 - sums[9] / sums[8]))
    assert found.low < found.mean < found.high


def test_exports_hold_the_same_cells(tmp_path: Path) -> None:
    rendered(tmp_path, 80)
    (table,) = summarise(read_sweep(str(tmp_path), "toy", "s"))
    for name, export in FORMATS.items():
        text = export([make_document("toy", "s", [("table", table)])])
        is_text = name not in ("json", "csv")  # those have unrounded shares
        assert ("90.00" in text and "58.38" in text) if is_text else "0.9" in text


def test_a_pruned_row_has_the_numbers_of_its_first_seed_alone(tmp_path: Path) -> None:
    """Seeds that were stopped after different steps have no mean that means anything."""
    trials = [
        result(0, lr=0.1, hits=9),
        result(1, lr=0.1, seed=1, hits=9),
        stopped(2, num_steps=1, hits=3),
        stopped(3, num_steps=2, seed=1, hits=6),
    ]
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest(seeds=[0, 1]))
    store.add(trials)
    (table,) = summarise(read_sweep(str(tmp_path), "toy", "s"))
    pruned = next(row for row in table.rows if row.status)
    assert (pruned.status, pruned.metrics["metric.r1"]) == ("pruned@1", 0.3)
    assert any("its first seed was stopped early" in line for line in table.caption)


def stopped(number: int, *, num_steps: int, hits: int, seed: int = 0) -> TrialResult:
    found = result(number, lr=0.2, seed=seed, hits=hits)
    row = {**found.trial, "status": "stopped", "num_steps": num_steps}
    return TrialResult(trial=row, steps=found.steps, samples=found.samples)


def test_a_row_of_every_seed_is_best_before_one_that_lacks_seeds(tmp_path: Path) -> None:
    trials = [result(0, lr=0.1, hits=5), result(1, lr=0.1, seed=1, hits=5), result(2, 0.2, hits=9)]
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest(seeds=[0, 1]))
    store.add(trials)
    (table,) = summarise(read_sweep(str(tmp_path), "toy", "s"))
    assert {row.status: row.mark for row in table.rows} == {"": "best", "1/2 seeds": ""}
    assert any(line.startswith("★ best; no test") for line in table.caption)


def test_while_no_row_has_every_seed_the_best_is_so_far(tmp_path: Path) -> None:
    lines = captions(tmp_path, [result(0, 0.1, hits=5), result(1, 0.2, hits=9)], seeds=[0, 1])
    assert any(line.startswith("★ best so far; no test") for line in lines)


def test_rows_that_were_scored_in_different_ways_are_not_compared(tmp_path: Path) -> None:
    trials = [result(0, 0.1, hits=2), result(1, 0.2, hits=9)]
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest(scoring_params=["lr"]))
    store.add(trials)
    (table,) = summarise(read_sweep(str(tmp_path), "toy", "s"))
    assert [row.mark for row in table.rows] == ["", ""]
    assert any("differ in lr, which changes what is measured" in line for line in table.caption)


def test_without_a_trade_off_there_is_no_front(tmp_path: Path) -> None:
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
    (table,) = summarise(read_sweep(str(tmp_path), "toy", "s"))
    assert not any(row.on_front for row in table.rows)


def test_an_incomplete_sweep_says_how_many_configurations_there_will_be(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest(seeds=[0, 1], num_trials=8))
    store.add([result(0, lr=0.1), result(1, lr=0.2)])
    (table,) = summarise(read_sweep(str(tmp_path), "toy", "s"))
    assert table.title == "toy: s, 2 of 4 configurations, best first"


def test_every_other_row_is_worse_only_if_every_other_row_was_tested(tmp_path: Path) -> None:
    trials = [result(0, 0.1, hits=10), result(1, 0.3, hits=0), stopped(2, num_steps=1, hits=5)]
    line, *_ = captions(tmp_path, trials)
    assert line.startswith("★ best; rows without a mark are significantly worse")
    assert line.endswith("Rows with a status are not tested.")


def test_of_a_trial_that_ran_again_under_another_id_the_later_row_counts(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest())
    store.add([result(1, lr=0.1, hits=3), result(2, lr=0.2)])
    store.add([result(3, lr=0.1, hits=4)])
    rows = read_sweep(str(tmp_path), "toy", "s").current_rows()
    assert {row["param.lr"]: row["metric.r1"] for row in rows} == {0.1: 0.4, 0.2: 0.5}
    assert len(rows) == 2
