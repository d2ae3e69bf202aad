"""The store: parts, replacements, interrupted rows, damage and names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toy_results import PARAMS, manifest, result

from results.storage.reading import find_sweeps, known_trials, read_sweep
from results.storage.store import SweepStore, TrialResult, check_name
from results.tables.summary import summarize
from tasks.contract import StoreError


def test_pandas_reads_the_tables(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.add([result(1), result(2, lr=0.2)])
    store.add([result(3, lr=0.3)])
    trials = pd.read_parquet(Path(store.path) / "trials")
    assert sorted(trials["trial_id"]) == ["t1", "t2", "t3"]
    assert trials["param.lr"].dtype == np.float64
    store.compact()
    assert sorted(pd.read_parquet(Path(store.path) / "trials")["trial_id"]) == ["t1", "t2", "t3"]


@pytest.mark.parametrize("compact", [False, True])
def test_later_part_of_a_trial_replaces_the_earlier(tmp_path: Path, compact: bool) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest())
    for lr in (0.1, 0.2, 0.3, 0.4):  # the random names of parts must not decide
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


def test_equal_sample_rows_are_all_kept(tmp_path: Path) -> None:
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


def test_finished_row_replaces_an_interrupted_one(tmp_path: Path) -> None:
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
    assert known_trials(str(tmp_path), "toy") == {}  # both must still run
    (table,) = summarize(sweep)
    statuses = {row.params["lr"]: row.status for row in table.rows}
    assert statuses == {0.1: "interrupted@2", 0.2: "not run"}
    assert table.rows[0].metrics["metric.r1"] == 0.5
    assert not any(row.mark for row in table.rows)
    store.add([whole])
    store.add([cut])  # from another driver, too late
    store.compact()
    (row,) = (r for r in read_sweep(str(tmp_path), "toy", "s").rows() if r["trial_id"] == "t1")
    assert (row["status"], row["metric.r1"]) == ("finished", 0.7)


@pytest.mark.parametrize(
    ("statuses", "counts"),
    [
        (("failed", "cancelled"), "cancelled"),  # of a retry
        (("stopped", "cancelled"), "cancelled"),  # by a search, but it runs in a grid
        (("cancelled", "failed"), "failed"),
        (("cancelled", "stopped"), "stopped"),
        (("cancelled", "interrupted"), "cancelled"),
        (("finished", "cancelled"), "finished"),
        (("cancelled", "finished", "failed"), "finished"),
    ],
)
@pytest.mark.parametrize("compact", [False, True])
def test_row_that_counts_depends_on_status_and_time(
    tmp_path: Path, statuses: tuple[str, ...], counts: str, compact: bool
) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest())
    for status in statuses:
        row = {**result(1).trial, "status": status}
        store.add([TrialResult(trial=row, steps=[], samples=None)])
        if compact:
            store.compact()
    (row,) = read_sweep(str(tmp_path), "toy", "s").rows()
    assert row["status"] == counts


def test_damaged_part_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.add([result(1)])
    store.write_manifest(manifest())
    (Path(store.path) / "trials" / "bad.parquet").write_bytes(b"PAR1 cut short")
    sweep = read_sweep(str(tmp_path), "toy", "s")
    assert sweep.trials["trial_id"].to_pylist() == ["t1"]
    assert [Path(p).name for p in sweep.damaged] == ["bad.parquet"]


def test_find_sweeps_and_known_trials(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest())
    store.add([result(1)])
    assert find_sweeps(str(tmp_path)) == [("toy", "s")]
    assert known_trials(str(tmp_path), "toy")["t1"][0] == "s"


@pytest.mark.parametrize("name", ["..", "a/b", "", "-x", ".hidden", "a" * 200, "a\nb"])
def test_unsafe_names_are_refused(name: str) -> None:
    with pytest.raises(StoreError, match="a name must be up to 100 letters"):
        check_name(name)


def test_later_row_of_the_same_configuration_counts(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest())
    store.add([result(1, lr=0.1, hits=3), result(2, lr=0.2)])
    store.add([result(3, lr=0.1, hits=4)])
    rows = read_sweep(str(tmp_path), "toy", "s").current_rows()
    assert {row["param.lr"]: row["metric.r1"] for row in rows} == {0.1: 0.4, 0.2: 0.5}
    assert len(rows) == 2
