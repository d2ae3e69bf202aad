"""Charts as data: what is drawn of which trials."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from page_sweeps import FAILED, write_sweep

from results.page.charts.chart import PageChart, charts_json
from results.page.charts.curves import trial_curves
from results.page.charts.parallel import parallel_chart
from results.page.charts.scores import scored
from results.page.charts.sweep import sweep_page_charts
from results.page.charts.timeline import assign_lanes, worker_lanes
from results.storage.reading import Sweep

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return write_sweep(str(tmp_path_factory.mktemp("runs")))


@pytest.fixture(scope="module")
def charts(sweep: Sweep) -> dict[str, PageChart]:
    return {chart.id: chart for chart in sweep_page_charts(sweep, sweep.rows())}


def test_a_sweep_has_every_kind_of_chart(charts: dict[str, PageChart]) -> None:
    assert list(charts) == [
        *("curve-0", "front", "importance", "parallel", "contour"),
        *("slice-0", "slice-1", "timeline"),
    ]
    assert all(chart.summary for chart in charts.values())


def test_curves_are_means_with_bands_over_seeds(charts: dict[str, PageChart]) -> None:
    curve = charts["curve-0"]
    lines = [trace for trace in curve.traces if not trace["meta"].get("band")]
    bands = [trace for trace in curve.traces if trace["meta"].get("band")]
    assert len(lines) == 6
    assert len(bands) == 5  # a configuration has one seed left
    assert lines[0]["x"] == [1, 2, 3, 4, 5]
    assert lines[0]["y"][-1] == pytest.approx(90)
    assert {trace["meta"]["color"] for trace in lines} == set(range(6))


def test_importance_orders_parameters(charts: dict[str, PageChart]) -> None:
    (bars,) = charts["importance"].traces
    assert list(bars["y"]) == ["loss", "lr"]  # the last one is on top
    assert bars["x"][1] > bars["x"][0] >= 0


def test_parallel_lines_pass_every_axis(sweep: Sweep, charts: dict[str, PageChart]) -> None:
    lines = charts["parallel"].traces
    assert sum(trace["x"].count(0) for trace in lines) == 11  # one a finished trial
    heights = [y for trace in lines for y in trace["y"] if y is not None]
    assert min(heights) == 0
    assert max(heights) == 1
    alone = [row for row in sweep.rows() if row["param.lr"] == 1e-3]
    assert not parallel_chart(scored(sweep, alone))  # of one parameter


def test_the_front_is_apart(charts: dict[str, PageChart]) -> None:
    names = [trace["name"] for trace in charts["front"].traces]
    assert "front" in names
    number = sum(len(trace["x"]) for trace in charts["front"].traces)
    assert number == 5  # a configuration lacks a seed


def test_a_search_has_the_front_of_its_own_metrics(tmp_path: Path) -> None:
    search = {"trials": 6, "sampler": {"name": "tpe"}, "pruner": {"name": "none"}}
    metrics = {"speed": "minimize", "r1": "maximize"}
    stored = write_sweep(str(tmp_path), front=None, search={**search, "metrics": metrics})
    charts = {chart.id: chart for chart in sweep_page_charts(stored, stored.rows())}
    assert charts["front"].title == "R@1 and speed"
    assert "of 5 configurations are on the Pareto front of speed and R@1" in charts["front"].summary


def test_a_map_has_the_mean_of_each_cell(charts: dict[str, PageChart]) -> None:
    (cells,) = charts["contour"].traces
    assert cells["x"] == ["1e-4", "1e-3", "1e-2"]
    assert cells["y"] == ['"info nce"', "siglip"]
    assert cells["z"][1][2] == pytest.approx((90 + 91) / 2)


def test_charts_follow_the_selected_trials(sweep: Sweep) -> None:
    rows = [row for row in sweep.rows() if row["param.loss"] == "siglip"]
    found = {chart.id: chart for chart in sweep_page_charts(sweep, rows)}
    lines = [trace for trace in found["curve-0"].traces if not trace["meta"].get("band")]
    assert len(lines) == 3
    assert "parallel" not in found
    of_none = sweep_page_charts(sweep, [])
    assert [chart.id for chart in of_none] == ["front"]  # of all, as in the tables


def test_a_trial_has_its_own_curve(sweep: Sweep) -> None:
    rows = {row["trial_id"]: row for row in sweep.rows()}
    (chart,) = trial_curves(sweep, rows["0000000000000000"])
    assert chart.traces[0]["y"] == pytest.approx([10, 20, 30, 40, 50])
    assert not trial_curves(sweep, rows[FAILED])


def test_json_is_valid_and_ends_no_script(sweep: Sweep, tmp_path: Path) -> None:
    chart = PageChart(
        id="x",
        title="</script><script>",
        summary="",
        traces=[{"y": [float("nan"), float("inf"), 1.0]}],
        layout={},
    )
    text = charts_json([chart])
    assert "</script>" not in text
    (read,) = json.loads(text)
    assert read["traces"][0]["y"] == [None, None, 1.0]
    assert read["title"] == chart.title


SPANS = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=30)


@given(SPANS)
def test_lanes_hold_no_two_trials_at_a_time(pairs: list[tuple[int, int]]) -> None:
    def at(seconds: int) -> datetime:
        return START + timedelta(seconds=seconds)

    spans = sorted((at(begin), at(begin + length)) for begin, length in pairs)
    lanes = assign_lanes(spans)
    assert len(lanes) == len(spans)
    last: dict[int, Any] = {}
    for (begin, end), lane in zip(spans, lanes, strict=True):
        assert last.get(lane, begin) <= begin
        last[lane] = end
    most = max((sum(b <= begin < e for b, e in spans) for begin, _ in spans), default=0)
    assert len(set(lanes)) == most


def test_a_worker_has_its_own_lanes() -> None:
    def row(begin: int, worker: str | None) -> dict[str, Any]:
        start = START + timedelta(seconds=begin)
        return {"started": start, "ended": start + timedelta(seconds=5), "worker": worker}

    rows = [row(0, "a:99"), row(1, "b:100"), row(2, "a:99"), row(6, "a:99"), row(7, None)]
    lanes, first = worker_lanes(rows)
    assert first == {"a pid 99": 0, "b pid 100": 2, "unknown": 3}
    assert lanes == [0, 2, 1, 0, 3]
    assert worker_lanes([row(0, "a:99"), row(9, "a:99")])[1] == {"pid 99": 0}
    archived = [row(0, "worker 1"), row(1, "worker 2"), row(2, "a:99"), row(9, "worker 1")]
    assert worker_lanes(archived)[1] == {"worker 1": 0, "worker 2": 1, "pid 99": 2}
