"""Tables as CSV and JSON records."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from exported_tables import NASTY, assert_reads_back, document_of
from simulated import published_order, simulate_retrieval

from orchestrator.reports.export_tables import export
from results.compare.sweeps import compare
from results.export import (
    FORMATS,
    make_document,
    sweep_document,
)
from results.export.records import records_of
from results.storage.reading import Sweep


def test_pandas_reads_csv_with_types(sweep: Sweep, tmp_path: Path) -> None:
    document = sweep_document(sweep)
    export([document], "csv", to=str(tmp_path / "tables"))
    task, name = sweep.manifest.task, sweep.manifest.name
    files = {f"{task}-{name}-{table.name}.csv": table for table in document.tables}
    assert {file.name for file in (tmp_path / "tables").iterdir()} == set(files)
    for file, table in files.items():
        text = (tmp_path / "tables" / file).read_text()
        assert not re.search("[★≈◆]", text)
        frame = pd.read_csv(io.StringIO(text))
        assert_reads_back(frame, records_of(table))
        assert {*frame["task"], *frame["sweep"]} == {task, name}


def test_csv_rows_match_the_parquet_table(tmp_path: Path) -> None:
    sweep = simulate_retrieval(tmp_path, published_order, seeds=2)
    (first, *_) = sweep_document(sweep).tables
    trials = pd.read_parquet(Path(sweep.path) / "trials").set_index("trial_id")
    for record in records_of(first):
        mine = trials.loc[str(record["trial_ids"]).split()]
        assert record["metric.i2t_r1"] == pytest.approx(mine["metric.i2t_r1"].mean())
        assert record["deviation"] == pytest.approx(mine["metric.i2t_r1"].std())
        low, mean, high = (
            record[key] for key in ("interval_low", "metric.i2t_r1", "interval_high")
        )
        assert 0 <= low < mean < high <= 1  # type: ignore[operator]
        assert record["num_seeds"] == 2
        assert record["param.lr"] == mine["param.lr"].iloc[0]
    marks = [record["mark"] for record in records_of(first)]
    assert marks.count("best") == 1
    tested = [r for r in records_of(first) if r["mark"] != "best"]
    assert all(0 <= r["adjusted_p"] <= 1 for r in tested)  # type: ignore[operator]
    assert any(isinstance(record["published"], float) for record in records_of(first))


def test_csv_of_a_comparison_has_columns_for_both_sides(tmp_path: Path) -> None:
    one, two = (
        simulate_retrieval(tmp_path, published_order, name=name, num_units=50)
        for name in ("one", "two")
    )
    tables = compare(one, two, ("one", "two"))
    document = make_document("retrieval", "both", [("sweeps", tables[0]), ("rows", tables[1])])
    export([document], "csv", to=str(tmp_path / "csv"))
    frame = pd.read_csv(tmp_path / "csv" / "retrieval-both-rows.csv")
    assert_reads_back(frame, records_of(document.tables[1]))
    assert (frame["first.metric.i2t_r1"] == frame["second.metric.i2t_r1"]).all()
    assert (frame["difference"] == 0).all()


def test_json_contains_the_records_and_is_strict(sweep: Sweep) -> None:
    document = sweep_document(sweep)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)  # NaN is no JSON

    tables = json.loads(FORMATS["json"]([document]), parse_constant=refuse)
    assert [table["name"] for table in tables] == [table.name for table in document.tables]
    for read, table in zip(tables, document.tables, strict=True):
        assert read["records"] == records_of(table)
        assert read["title"] == table.table.title


@pytest.mark.parametrize("text", NASTY)
def test_texts_survive_csv_and_json(text: str) -> None:
    document = document_of([text, "1"])
    frame = pd.read_csv(io.StringIO(FORMATS["csv"]([document])), keep_default_na=False)
    assert frame["h0"].tolist() == [text]
    assert json.loads(FORMATS["json"]([document]))[0]["records"][0]["h0"] == text
