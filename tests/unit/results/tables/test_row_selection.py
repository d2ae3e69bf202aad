"""``--where``, ``--sort``, ``--columns`` and ``--limit`` on rows and on the tables of a sweep."""

from __future__ import annotations

from typing import Any

import pytest
from paths import STORED
from rich.console import Console

from results.render.sweep_tables import render
from results.storage.reading import Sweep, read_sweep
from results.tables.row_selection import EVERYTHING, RowSelection
from results.tables.summary import summarize
from tasks.contract import RequestError

ROWS: list[dict[str, Any]] = [
    {"param.lr": 1e-3, "metric.r1": 0.5, "id": "a"},
    {"param.lr": 1e-2, "metric.r1": None, "id": "b"},
    {"param.lr": 1e-3, "metric.r1": 0.7, "id": "c"},
    {"param.lr": 1e-4, "metric.r1": float("nan"), "id": "d"},
    {"param.lr": 1e-2, "metric.r1": 0.1, "id": "e"},
]


def ids(**options: Any) -> str:
    chosen = RowSelection(**options).rows(ROWS, list(ROWS[0]), lambda row: row)
    return "".join(row["id"] for row in chosen)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "abcde"),
        ({"where": "lr < 5e-3"}, "acd"),
        ({"sort": "r1"}, "eacbd"),
        ({"sort": "-r1"}, "caebd"),
        ({"sort": "lr,-metric.r1"}, "dcaeb"),
        ({"sort": "-lr"}, "beacd"),
        ({"limit": 2}, "ab"),
        ({"where": "lr = 1e-2", "sort": "-id", "limit": 1}, "e"),
    ],
)
def test_rows_are_chosen_and_sorted(options: dict[str, Any], expected: str) -> None:
    assert ids(**options) == expected


def test_columns_are_named_once() -> None:
    names = ["param.lr", "metric.r1"]
    assert RowSelection(columns="r1, lr,metric.r1").column_names(names) == ["metric.r1", "param.lr"]
    assert EVERYTHING.column_names(names) is None
    with pytest.raises(RequestError, match="--columns: there is no column x"):
        RowSelection(columns="x").column_names(names)
    with pytest.raises(RequestError, match="--columns takes names"):
        RowSelection(columns=",").column_names(names)


def test_limit_must_be_positive() -> None:
    with pytest.raises(RequestError, match="--limit must be at least 1, but is 0"):
        RowSelection(limit=0)


# --- tables ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored() -> Sweep:
    return read_sweep(str(STORED), "toy", "stored")


def text_of(sweep: Sweep, **options: Any) -> str:
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        console.print(render(sweep, selection=RowSelection(**options)))
    return captured.get()


def test_tests_are_over_all_rows_though_few_are_shown(stored: Sweep) -> None:
    whole = summarize(stored)[0]
    chosen = summarize(stored, selection=RowSelection(where="degree = 1"))[0]
    (row,) = chosen.rows
    (same,) = (each for each in whole.rows if each.params["degree"] == 1)
    assert row.p_value == same.p_value is not None
    assert row.mark == same.mark
    assert chosen.num_hidden == len(whole.rows) - 1
    assert "1 of 3 configurations shown (--where)." in chosen.caption


def test_report_is_filtered_sorted_and_limited(stored: Sweep) -> None:
    text = text_of(stored, where="error < 0.1", sort="-degree", limit=1, columns="degree,lr")
    assert "1 of 3 configurations shown (--where, --limit)." in text
    assert [line.split()[2] for line in text.splitlines() if "+2 " in line][:1] == ["5"]
    assert " lr " in text  # a parameter that all rows share has a column when it is asked for


def test_no_row_left_is_said_and_is_no_error(stored: Sweep) -> None:
    assert "0 of 3 configurations shown (--where)." in text_of(stored, where="degree > 100")


def test_default_report_is_unchanged(stored: Sweep) -> None:
    assert "shown" not in text_of(stored).split("Claims")[0]
