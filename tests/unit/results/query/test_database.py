"""SQL over stored sweeps: what it returns, and what it cannot reach."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow as pa
import pytest
from paths import STORED
from rich.console import Console

from results.query.database import run_query
from results.query.view import MAX_ROWS, QueryView, to_csv, to_fields
from results.storage.reading import Sweep, read_sweep
from tasks.contract import RequestError

pytest.importorskip("duckdb")


@pytest.fixture(scope="module")
def stored() -> Sweep:
    return read_sweep(str(STORED), "toy", "stored")


def test_query_gives_what_the_rows_hold(stored: Sweep) -> None:
    sql = """SELECT param.degree, avg(metric.error) AS error, count(*) AS seeds FROM trials
             WHERE status = 'finished' GROUP BY param.degree ORDER BY 1"""
    found = run_query(sql, [stored]).to_pylist()
    rows = stored.current_rows()
    for record in found:
        errors = [r["metric.error"] for r in rows if r["param.degree"] == record["degree"]]
        assert record["seeds"] == len(errors)
        assert record["error"] == pytest.approx(sum(errors) / len(errors))
    assert len(found) == len({row["param.degree"] for row in rows})


def test_star_gives_the_columns_of_the_parquet_table(stored: Sweep) -> None:
    rows = run_query("SELECT * FROM trials", [stored])
    assert set(rows.column_names) == {*stored.trials.column_names, "worker"}  # newer than the sweep
    assert rows.num_rows == stored.trials.num_rows
    for name in stored.trials.column_names:
        assert sorted(map(str, rows[name].to_pylist())) == sorted(
            map(str, stored.trials[name].to_pylist())
        )


def test_tables_join_over_sweeps(stored: Sweep) -> None:
    sql = "SELECT count(*) AS n FROM trials JOIN steps USING (task, sweep, trial_id)"
    assert run_query(sql, [stored]).to_pylist() == [{"n": stored.steps.num_rows}]
    twice = run_query("SELECT count(*) AS n FROM stages", [stored, stored])
    assert twice.to_pylist() == [{"n": 2 * stored.stages.num_rows}]


def test_steps_have_their_position(stored: Sweep) -> None:
    sql = """SELECT steps.at, avg(steps.metric.error) AS error
             FROM steps JOIN trials USING (task, sweep, trial_id) GROUP BY ALL ORDER BY 1"""
    found = run_query(sql, [stored])["at"].to_pylist()
    assert found == sorted(set(stored.steps["at"].to_pylist()))


def test_only_named_tables_are_read(stored: Sweep) -> None:
    fresh = read_sweep(str(STORED), "toy", "stored")
    run_query("SELECT max(seconds) FROM Stages", [fresh])
    assert "stages" in vars(fresh)
    assert "samples" not in vars(fresh)


def test_no_sweeps_give_no_rows() -> None:
    assert run_query("SELECT trial_id FROM trials", []).num_rows == 0
    tables = run_query("SHOW TABLES", []).to_pylist()
    assert [row["name"] for row in tables] == ["samples", "stages", "steps", "trials"]


def test_columns_of_equal_names_are_distinct(stored: Sweep) -> None:
    assert run_query("SELECT seed, seed FROM trials", [stored]).column_names == ["seed", "seed_1"]
    sql = "SELECT 1 AS a, 2 AS a, 3 AS a_1, {'b': 4} AS c, 5 AS \"c.b\""
    rows = run_query(sql, [])
    assert rows.column_names == ["a", "a_1", "a_1_1", "c.b", "c.b_1"]
    assert rows.to_pylist() == [dict(zip(rows.column_names, range(1, 6), strict=True))]


@pytest.mark.parametrize(
    ("sql", "part"),
    [
        ("", "one SELECT statement, but got nothing"),
        ("SELECT 1; SELECT 2", "but got SELECT, SELECT"),
        ("CREATE TABLE x AS SELECT 1", "but got CREATE"),
        ("DROP VIEW trials", "but got DROP"),
        ("SET enable_external_access = true", "but got SET"),
        ("INSTALL httpfs", "but got LOAD"),
        ("ATTACH 'FOLDER/x.db'", "but got ATTACH"),
        ("COPY trials TO 'FOLDER/x.csv'", "but got COPY"),
        ("SELECT * FROM read_text('FOLDER/secret')", "disabled by configuration"),
        ("SELECT * FROM read_csv('FOLDER/secret')", "disabled by configuration"),
        ("SELECT * FROM 'FOLDER/secret.csv'", "the query failed"),
        ("SELECT * FROM glob('FOLDER/*')", "disabled by configuration"),
        ("SELECT * FROM read_parquet('http://127.0.0.1:9/x')", "the query failed"),
        ("SELECT * FROM stored", "the query failed"),
        ("SELECT getenv('HOME')", "the query failed"),
        ("SELECT nope FROM trials", "DESCRIBE trials"),
        ("SELECT metric.nope FROM trials", "DESCRIBE trials"),
        ('SELECT "param.lr" FROM trials', "write param.NAME"),
        ("SELEC", "syntax error"),
    ],
)
def test_query_reaches_nothing_but_the_tables(
    stored: Sweep, tmp_path: Path, sql: str, part: str
) -> None:
    for name in ("secret", "secret.csv"):
        (tmp_path / name).write_text("a\n1\n")
    with pytest.raises(RequestError) as caught:
        run_query(sql.replace("FOLDER", str(tmp_path)), [stored])
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"secret", "secret.csv"}


# --- output ---------------------------------------------------------------------------------------

ROWS = pa.table(
    {
        "id": ["a", "b"],
        "value": [0.1, float("nan")],
        "words": [["x", "y"], None],
        "picture": [b"\x00\xff", None],
    }
)


def test_csv_has_a_heading_and_unrounded_values() -> None:
    lines = list(csv.reader(io.StringIO(to_csv(ROWS))))
    assert lines == [
        ["id", "value", "words", "picture"],
        ["a", "0.1", '["x", "y"]', "AP8="],
        ["b", "", "", ""],
    ]


def test_fields_name_the_types() -> None:
    fields = to_fields(ROWS)
    assert fields["columns"][1] == {"name": "value", "type": "double"}
    assert fields["num_rows"] == 2


def shown(rows: pa.Table, width: int = 60) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(QueryView(rows))
    return captured.get()


def test_table_fits_any_width() -> None:
    for width in (100, 40, 20):
        text = shown(ROWS, width)
        assert all(len(line) <= width for line in text.splitlines())
        assert "2 bytes" in text
    assert "2 rows." in text


@pytest.mark.parametrize(
    "value", ["'infinity'::TIMESTAMP", "['-infinity'::TIMESTAMPTZ]", "'290000-01-01'::DATE"]
)
def test_time_that_python_lacks_is_explained(value: str) -> None:
    rows = run_query(f"SELECT 1 AS n, {value} AS t", [])
    for show in (shown, to_csv, to_fields):
        with pytest.raises(RequestError, match="the column t contains a time") as caught:
            show(rows)
        assert "\n" not in str(caught.value)
    text = run_query(f"SELECT ({value})::VARCHAR AS t", [])
    assert to_csv(text).splitlines()[0] == "t"


def test_long_result_says_how_to_get_all_of_it() -> None:
    text = shown(pa.table({"n": list(range(MAX_ROWS + 1))}), 100)
    assert f"The first {MAX_ROWS} of {MAX_ROWS + 1} rows; add LIMIT" in text
    assert shown(pa.table({"n": pa.array([], pa.int64())})) == "0 rows.\n"
