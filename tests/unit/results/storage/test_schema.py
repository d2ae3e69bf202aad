"""The columns of the Parquet tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from paths import STORED
from toy_results import PARAMS, manifest, result

from results.compare.cells import compare_cells
from results.storage.reading import Sweep, copy_trials, read_sweep
from results.storage.schema import SWEEP_COLUMNS, VERSION, VERSION_KEY, fill_sweep
from results.storage.store import SweepStore, list_parts, read_part

TABLES = ("trials", "steps", "samples", "stages")
STAGE = {"run": pd.Timestamp("2026-01-01", tz="UTC"), "key": "k", "label": "l", "uses": 1}


def make_store(root: Path, name: str = "s") -> SweepStore:
    store = SweepStore(str(root), "toy", name, PARAMS)
    store.write_manifest(manifest(name=name))
    return store


def forget_sweep(store: SweepStore) -> None:
    """Rewrite every part as an earlier version wrote it, without ``task`` and ``sweep``."""
    for table in TABLES:
        for path in list_parts(store.filesystem, f"{store.path}/{table}"):
            rows = read_part(store.filesystem, path)
            assert rows is not None
            rows = rows.drop_columns(list(SWEEP_COLUMNS))
            rows = rows.replace_schema_metadata({VERSION_KEY: str(VERSION).encode()})
            pq.write_table(rows, path)


def origins(sweep: Sweep, table: str) -> set[tuple[str, str]]:
    rows = getattr(sweep, table).to_pylist()
    return {(row["task"], row["sweep"]) for row in rows}


def test_every_table_starts_with_task_and_sweep(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    store.add([result(1)])
    store.add_stages([STAGE])
    for table in TABLES:
        frame = pd.read_parquet(Path(store.path) / table)
        assert list(frame.columns[:2]) == ["task", "sweep"]
        assert {*zip(frame["task"], frame["sweep"], strict=True)} == {("toy", "s")}
        assert origins(read_sweep(str(tmp_path), "toy", "s"), table) == {("toy", "s")}


def test_parts_without_task_and_sweep_get_them_from_the_folder(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    store.add([result(1)])
    store.add_stages([STAGE])
    forget_sweep(store)
    sweep = read_sweep(str(tmp_path), "toy", "s")
    assert all(origins(sweep, table) == {("toy", "s")} for table in TABLES)
    store.add([result(2)])  # now only some parts have the columns
    for _ in range(2):
        sweep = read_sweep(str(tmp_path), "toy", "s")
        assert all(origins(sweep, table) == {("toy", "s")} for table in TABLES)
        assert sweep.trials.num_rows == 2
        assert not sweep.damaged
        store.compact()
    assert list(pd.read_parquet(Path(store.path) / "trials").columns[:2]) == ["task", "sweep"]


def test_sweep_of_an_earlier_version_is_read() -> None:
    sweep = read_sweep(str(STORED), "toy", "stored")
    assert origins(sweep, "trials") == {("toy", "stored")}
    assert origins(sweep, "samples") == {("toy", "stored")}


def test_an_empty_table_stays_empty(tmp_path: Path) -> None:
    make_store(tmp_path)
    sweep = read_sweep(str(tmp_path), "toy", "s")
    assert all(getattr(sweep, table).num_rows == 0 for table in TABLES)
    assert fill_sweep(sweep.trials, "toy", "s").num_columns == 0


def test_copied_trial_belongs_to_the_new_sweep(tmp_path: Path) -> None:
    make_store(tmp_path, "first").add([result(1)])
    second = make_store(tmp_path, "second")
    second.add_tables(copy_trials(str(tmp_path), "toy", "first", ["t1"], into="second"))
    sweep = read_sweep(str(tmp_path), "toy", "second")
    assert all(origins(sweep, table) == {("toy", "second")} for table in TABLES[:3])
    assert sweep.rows()[0]["reused_from"] == "toy/first"
    both = pd.concat(pd.read_parquet(tmp_path / "toy" / n / "trials") for n in ("first", "second"))
    assert both.set_index(["task", "sweep", "trial_id"]).index.is_unique
    third = make_store(tmp_path, "third")
    third.add_tables(copy_trials(str(tmp_path), "toy", "second", ["t1"], into="third"))
    (row,) = read_sweep(str(tmp_path), "toy", "third").rows()
    assert (row["sweep"], row["reused_from"]) == ("third", "toy/first")


def test_sweeps_with_different_names_and_equal_cells_do_not_differ(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_store(tmp_path, name).add([result(1)])
    one, two = (read_sweep(str(tmp_path), "toy", name) for name in ("one", "two"))
    assert compare_cells(one, two, ("one", "two")).num_differences == 0
