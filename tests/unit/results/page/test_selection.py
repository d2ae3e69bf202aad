"""Filters, order and page of a table of trials, from and to an address."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl

import hypothesis.strategies as st
import pytest
from hypothesis import given
from page_sweeps import write_sweep

from results.page.selection import Selection, choices
from results.tables.trials import trial_columns


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    return write_sweep(str(tmp_path_factory.mktemp("runs"))).rows()


def select(query: str) -> Selection:
    return Selection.from_query(parse_qsl(query.removeprefix("?")))


TEXT = st.text(max_size=12)
KEYS = st.sampled_from(["status", "seed", "param.lr", "param.loss"])


@given(
    filters=st.dictionaries(KEYS, TEXT.filter(bool)),
    find=TEXT.map(str.strip),
    sort=TEXT,
    page=st.integers(1, 10**6),
    all_rows=st.booleans(),
)
def test_an_address_holds_the_whole_selection(
    filters: dict[str, str], find: str, sort: str, page: int, all_rows: bool
) -> None:
    chosen = Selection(filters=filters, find=find, sort=sort, page=page, all_rows=all_rows)
    assert select(chosen.query()) == chosen


@given(st.text())
def test_any_address_is_a_selection(query: str) -> None:
    assert select(query).page >= 1


def test_filters_compare_the_text_of_cells(rows: list[dict[str, object]]) -> None:
    found = select("param.lr=1e-3&param.loss=info+nce").choose(rows)
    assert {(row["param.lr"], row["param.loss"]) for row in found} == {(1e-3, "info nce")}
    assert len(found) == 2
    assert not select("param.lr=5").choose(rows)
    assert len(select("status=failed").choose(rows)) == 1


def test_search_looks_at_ids_values_and_reasons(rows: list[dict[str, object]]) -> None:
    assert [row["status"] for row in select("find=MEMORY").choose(rows)] == ["failed"]
    assert len(select("find=siglip").choose(rows)) == 6


def test_sorting_puts_missing_values_last_both_ways(rows: list[dict[str, object]]) -> None:
    for sort in ("metric.r1", "-metric.r1"):
        values = [row["metric.r1"] for row in select(f"sort={sort}").choose(rows)]
        known = [float(str(value)) for value in values if value is not None]
        assert values[-1] is None
        assert known == sorted(known, reverse=sort.startswith("-"))
    assert select("sort=nothing").choose(rows) == rows
    times = [row["started"] for row in select("sort=-started").choose(rows)]
    assert times == sorted(times, key=str, reverse=True)


def test_choices_are_the_columns_with_several_values(tmp_path: Path) -> None:
    sweep = write_sweep(str(tmp_path))
    found = {
        one.key: list(one.values) for one in choices(trial_columns(sweep.rows(), sweep.manifest, 8))
    }
    assert found == {
        "param.lr": ["1e-4", "1e-3", "1e-2"],
        "param.loss": ["info nce", "siglip"],
        "seed": ["0", "1"],
        "status": ["failed", "finished"],
    }
    for key, values in found.items():  # each leads to some of the trials
        for value in values:
            assert 0 < len(Selection(filters={key: value}).choose(sweep.rows())) < 12
