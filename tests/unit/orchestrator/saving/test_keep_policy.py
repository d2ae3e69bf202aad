"""Which weights are kept: the decisions, without a sweep."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_results import manifest

from orchestrator.saving.keep_policy import (
    Candidate,
    Keep,
    choose_deletions,
    choose_kept,
    parse_keep,
    recorded_keep,
)
from results.tables.rows import SummaryRow, SummaryTable
from tasks.contract import Column, RequestError

CANDIDATES = st.lists(
    st.builds(
        Candidate,
        key=st.uuids().map(str),
        value=st.sampled_from([0.0, 1.0, 2.0, 3.0]),
        num_bytes=st.integers(0, 5),
        state=st.sampled_from(["complete", "unfinished", "broken"]),
        tables=st.sampled_from([frozenset({0}), frozenset({1}), frozenset({0, 1})]),
    ),
    max_size=12,
    unique_by=lambda candidate: candidate.key,
)


@given(
    candidates=CANDIDATES,
    maximize=st.booleans(),
    num_best=st.integers(1, 3),
    max_bytes=st.integers(0, 40),
    max_configurations=st.integers(1, 8),
)
def test_deletions_keep_the_best_within_the_limits(
    candidates: list[Candidate],
    maximize: bool,
    num_best: int,
    max_bytes: int,
    max_configurations: int,
) -> None:
    limits: dict[str, int] = {"max_bytes": max_bytes, "max_configurations": max_configurations}
    deleted = choose_deletions(candidates, maximize=maximize, num_best=num_best, **limits)
    assert len(set(deleted)) == len(deleted)
    assert all(each.num_bytes for each in candidates if each.key in deleted)
    left = [each for each in candidates if each.key not in deleted]

    def worse(one: Candidate, two: Candidate) -> bool:
        return one.value < two.value if maximize else one.value > two.value

    for table in (0, 1):  # the best complete ones of each table are kept
        whole = [c for c in candidates if c.state == "complete" and table in c.tables]
        for each in (c for c in whole if c.key in deleted):
            assert sum(not worse(c, each) for c in whole if c.key not in deleted) >= num_best
    fits = _fits(left, **limits)
    has_whole = any(each.state == "complete" for each in candidates)
    held = [each for each in left if each.num_bytes]
    if not fits:  # then nothing more may be deleted
        assert not has_whole or all(each.state == "complete" for each in held)
        assert has_whole or len(held) <= 1
    if _fits(candidates, **limits):
        assert not deleted
    elif deleted:  # and no more than necessary
        last = next(each for each in candidates if each.key == deleted[-1])
        assert not _fits([*left, last], **limits)
    rank = {"broken": 0, "complete": 1, "unfinished": 2}
    order = [next(c for c in candidates if c.key == key) for key in deleted]
    assert [rank[c.state] for c in order] == sorted(rank[c.state] for c in order)
    for one, two in itertools.pairwise(order):
        assert one.state != two.state or not worse(two, one)


def _fits(candidates: Sequence[Candidate], *, max_bytes: int, max_configurations: int) -> bool:
    held = [each.num_bytes for each in candidates if each.num_bytes]
    return sum(held) <= max_bytes and len(held) <= max_configurations


def row(lr: float, value: float | None, *, mark: str = "", status: str = "") -> SummaryRow:
    return SummaryRow(
        params={"lr": lr},
        metrics={} if value is None else {"metric.r1": value},
        mark=mark,
        status=status,
        trial_ids=[] if value is None else [f"{lr:g}a", f"{lr:g}b"],
    )


def table(*rows: SummaryRow) -> SummaryTable:
    main = Column(key="metric.r1", label="R@1", format="percent")
    return SummaryTable(
        title="", params=[], metrics=[], main=main, has_report=False, rows=list(rows), caption=[]
    )


ROWS = (
    row(1, 0.9, mark="best"),
    row(2, 0.8, mark="tie"),
    row(3, 0.7),
    row(4, 0.95, status="1/2 seeds"),
    row(5, None, status="failed"),
)


def ids(*lrs: int) -> set[str]:
    return {f"{lr}{letter}" for lr in lrs for letter in "ab"}


@pytest.mark.parametrize(
    ("keep", "wanted"),
    [
        ("best", ids(1, 2)),
        ("none", set()),
        ("all", ids(1, 2, 3, 4)),
        (1, ids(1)),
        (3, ids(1, 2, 3)),
        (9, ids(1, 2, 3)),
    ],
)
def test_keep_option_selects_rows(keep: Keep, wanted: set[str]) -> None:
    everything = ids(1, 2, 3, 4)
    choice = choose_kept([table(*ROWS)], keep, maximize=True, available=everything)
    assert choice.wanted == choice.kept == wanted


def test_minimized_metric_keeps_the_smallest() -> None:
    rows = [row(1, 0.9), row(2, 0.8)]
    choice = choose_kept([table(*rows)], 1, maximize=False, available=ids(1, 2))
    assert choice.kept == ids(2)


def test_best_of_each_table_is_kept() -> None:
    tables = [table(row(1, 0.9)), table(row(2, 0.1), row(3, 0.2))]
    choice = choose_kept(tables, "best", maximize=True, available=ids(1, 2, 3))
    assert choice.kept == ids(1, 3)


def test_complete_configuration_is_kept_until_the_best_is_complete() -> None:
    rows = [table(row(1, 0.9, mark="best"), row(2, 0.8), row(3, 0.7))]
    choice = choose_kept(rows, "best", maximize=True, available=ids(2, 3) | {"1a"})
    assert choice.wanted == ids(1)
    assert choice.kept == ids(1, 2)
    choice = choose_kept(rows, "best", maximize=True, available=set())
    assert choice.kept == ids(1)


def test_parse_keep() -> None:
    assert [parse_keep(text) for text in ("best", "none", "all", " 12 ")] == [
        *("best", "none", "all"),
        12,
    ]
    for text in ("", "0", "-1", "1.5", "most", "1e3", "٣"):
        with pytest.raises(RequestError, match="--keep takes best, none, all"):
            parse_keep(text)


@pytest.mark.parametrize(
    ("recorded", "keep"), [(3, 3), ("all", "all"), (None, "best"), ("most", "best")]
)
def test_recorded_keep_applies_to_later_runs(recorded: str | int | None, keep: Keep) -> None:
    assert recorded_keep(manifest(keep=recorded)) == keep
    assert recorded_keep(None) == "best"
