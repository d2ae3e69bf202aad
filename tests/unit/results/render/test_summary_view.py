"""At any width, every result, id and parameter of a table is printed in full."""

from __future__ import annotations

import io
import re
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from results.render.summary_view import SummaryView
from results.statistics import Estimate
from results.tables.cell_text import (
    format_plain,
    interval_cell,
    main_cell,
    report_cell,
    short_ids,
)
from results.tables.rows import SummaryRow, SummaryTable
from tasks.contract import Column

WORD = st.text("abcdefghijklmnop", min_size=1, max_size=14)
LABEL = st.lists(WORD, min_size=1, max_size=3).map(" ".join)
TEXT = st.builds(
    lambda before, words, after: " " * before + " ".join(words) + " " * after,
    st.integers(0, 2),
    st.lists(WORD, min_size=1, max_size=8),
    st.integers(0, 2),
)
VALUE = st.one_of(st.floats(1e-6, 1e6), st.integers(0, 10**6), st.booleans(), st.none(), WORD, TEXT)
STATUS = st.sampled_from(
    ["", "", "", "failed", "pruned@1", "interrupted@12", "2/3 seeds", "not run"]
)


def metric(key: str, label: str, form: Any) -> Column:
    return Column(key=key, label=label, format=form)


@st.composite
def rows(draw: st.DrawFn, names: list[str], keys: list[str]) -> SummaryRow:
    share = st.floats(0.0, 1.0)
    found = SummaryRow(params={name: draw(VALUE) for name in names}, metrics={})
    found.status = draw(STATUS)
    found.all_ids = draw(
        st.lists(st.text("0123456789abcdef", min_size=16, max_size=16), max_size=3)
    )
    found.reported = draw(st.lists(share, max_size=2))
    found.label = draw(st.sampled_from(["", "", "ours", "another"]))
    found.on_front, found.mark = draw(st.booleans()), draw(st.sampled_from(["", "best", "tie"]))
    if found.status not in ("failed", "not run"):
        found.metrics = {key: draw(share) for key in ("metric.main", *keys)}
        found.deviation = draw(st.one_of(st.none(), share))
        low, high = sorted((draw(share), draw(share)))
        mean = found.metrics["metric.main"]
        found.estimate = draw(st.sampled_from([None, Estimate(mean=mean, low=low, high=high)]))
    return found


@st.composite
def tables(draw: st.DrawFn) -> SummaryTable:
    labels = draw(st.lists(LABEL, min_size=1, max_size=9, unique=True))
    names = [f"p{number}" for number in range(len(labels))]
    others = draw(st.lists(LABEL, max_size=6, unique=True))
    keys = [f"metric.m{number}" for number in range(len(others))]
    form = draw(st.sampled_from(["percent", "score", "number"]))
    return SummaryTable(
        title=draw(TEXT),
        params=[
            metric(f"param.{name}", label, "text")
            for name, label in zip(names, labels, strict=True)
        ],
        metrics=[metric(k, label, "percent") for k, label in zip(keys, others, strict=True)],
        main=metric("metric.main", draw(LABEL), form),
        has_report=draw(st.booleans()),
        rows=draw(st.lists(rows(names, keys), min_size=1, max_size=6)),
        caption=draw(st.lists(TEXT, max_size=3)),
    )


def is_there(cell: str, text: str) -> bool:
    """Whether the text contains the whole cell, between spaces."""
    ends = re.compile(rf"(?<![^\s]){re.escape(cell)}(?![^\s,])")
    return cell in ("", "-") or ends.search(text) is not None


@settings(phases=[Phase.generate])
@given(table=tables(), width=st.integers(50, 200))
def test_no_result_is_truncated_at_any_width(table: SummaryTable, width: int) -> None:
    console = Console(width=width, record=True, color_system=None, file=io.StringIO())
    console.print(SummaryView(table))
    text = console.export_text()
    assert max(map(cell_len, text.splitlines())) <= width
    assert "…" not in text
    shown = re.sub(r"\s+", " ", text)
    for row in table.rows:
        assert is_there(main_cell(row, table), text)
        assert is_there(interval_cell(row, table), text)
        assert is_there(row.status, text)
        assert is_there(short_ids(row.all_ids, 8), text)
        assert not table.has_report or is_there(report_cell(row, table), text)
        for value in row.params.values():
            for word in format_plain(value).split() if value is not None else ():
                assert is_there(word, shown), word
    named = shown.partition("A wider terminal also shows ")[2]
    for column in table.metrics:
        heading = all(word in text for word in column.label.split())
        assert heading or column.label in named
