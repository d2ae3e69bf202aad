"""Which weights are deleted and which stay: the decisions, without a sweep."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_results import manifest

from orchestrator.saving import keep_policy
from orchestrator.saving.final_weights import SavedWeights
from orchestrator.saving.keep_policy import (
    Candidate,
    Keep,
    choose_deletions,
    choose_kept,
    parse_keep,
    recorded_keep,
)
from orchestrator.saving.weight_keeper import EndedTrial, WeightKeeper
from results.storage.weights import WeightStore
from results.tables.rows import SummaryRow, SummaryTable
from tasks.contract import Column, RequestError

# --- while a sweep runs ---------------------------------------------------------------------------

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
def test_the_best_stay_and_the_rest_fits(
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

    for table in (0, 1):  # the best whole ones of each stay
        whole = [c for c in candidates if c.state == "complete" and table in c.tables]
        for each in (c for c in whole if c.key in deleted):
            assert sum(not worse(c, each) for c in whole if c.key not in deleted) >= num_best
    fits = _fits(left, **limits)
    has_whole = any(each.state == "complete" for each in candidates)
    held = [each for each in left if each.num_bytes]
    if not fits:  # then nothing is left that may go
        assert not has_whole or all(each.state == "complete" for each in held)
        assert has_whole or len(held) <= 1
    if _fits(candidates, **limits):
        assert not deleted
    elif deleted:  # and no more than need be
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


class Sweep:
    """A store whose sweep ends one trial after the other."""

    def __init__(self, folder: Path, keep: Keep = "best", **more: Any) -> None:
        (folder / "toy" / "s").mkdir(parents=True)
        self.store = WeightStore(str(folder), "toy", "s")
        options: dict[str, Any] = {
            "seeds": {0},
            "value": "metric.r1",
            "maximize": True,
            "tables": {},
        } | more
        self.keeper = WeightKeeper(self.store, keep, **options)
        self.lines: list[str] = []
        self.keeper.print_line = self.lines.append

    def end(self, lr: float, value: float | None, seed: int = 0, **more: Any) -> None:
        """A trial of this configuration ended; None: it failed."""
        name, num_bytes = f"t{lr:g}-{seed}", 10
        self.store.write(name, bytes(num_bytes))
        row = {"trial_id": name, "seed": seed, "param.lr": lr, "metric.r1": value, **more}
        row["status"] = "finished" if value is not None else "failed"
        written = EndedTrial(row=row, num_bytes=num_bytes, has_weights=True)
        self.keeper.add([written])

    def left(self) -> set[str]:
        return set(self.store.sizes())


@pytest.fixture
def room_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep_policy, "MAX_CONFIGURATIONS", 2)


@pytest.mark.usefixtures("room_for_two")
def test_the_worst_goes_as_soon_as_there_are_too_many(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    for lr, value in ((1, 0.5), (2, 0.3), (3, 0.4), (4, 0.9), (5, 0.1)):
        sweep.end(lr, value)
    assert sweep.left() == {"t4-0", "t1-0"}


def test_too_many_bytes_are_as_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep_policy, "MAX_BYTES", 25)
    sweep = Sweep(tmp_path, maximize=False)
    for lr, value in ((1, 0.5), (2, 0.3), (3, 0.4)):
        sweep.end(lr, value)
    assert sweep.left() == {"t2-0", "t3-0"}


@pytest.mark.usefixtures("room_for_two")
def test_seeds_that_still_run_are_not_taken_from_a_configuration(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, seeds={0, 1})
    sweep.end(1, 0.5)
    sweep.end(1, 0.7, seed=1)
    sweep.end(2, 0.4)
    sweep.end(2, 0.4, seed=1)
    sweep.end(3, 0.1)  # the worst so far, but 2 can no longer win
    assert sweep.left() == {"t1-0", "t1-1", "t3-0"}
    sweep.end(3, 1.9, seed=1)
    sweep.end(4, 0.2)
    assert sweep.left() == {"t3-0", "t3-1", "t4-0"}


@pytest.mark.usefixtures("room_for_two")
def test_what_cannot_be_whole_goes_first(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, seeds={0, 1})
    sweep.end(1, 0.9)
    sweep.end(1, None, seed=1)
    sweep.end(2, 0.2)
    sweep.end(3, 0.3)
    assert sweep.left() == {"t1-1", "t2-0", "t3-0"}  # of the failed one nobody knows: an orphan


@pytest.mark.usefixtures("room_for_two")
def test_all_and_a_large_number_have_no_limit(tmp_path: Path) -> None:
    for keep in ("all", 4):
        sweep = Sweep(tmp_path / str(keep), keep)
        for lr in range(1, 5):
            sweep.end(lr, lr / 10)
        assert len(sweep.left()) == 4
    sweep.end(5, 0.9)
    assert sweep.left() == {"t5-0", "t4-0", "t3-0", "t2-0"}


def test_a_problem_is_told_once(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    for _ in range(3):
        sweep.keeper.on_saved(SavedWeights(error="cannot write x: No space left on device"))
    (line,) = sweep.lines
    assert line == (
        "Weights were not saved: cannot write x: No space left on device. The trials continue, and "
        "their results are complete."
    )


# --- when it is complete --------------------------------------------------------------------------


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
def test_what_each_value_keeps(keep: Keep, wanted: set[str]) -> None:
    everything = ids(1, 2, 3, 4)
    choice = choose_kept([table(*ROWS)], keep, maximize=True, available=everything)
    assert choice.wanted == choice.kept == wanted


def test_a_smaller_metric_may_be_better() -> None:
    rows = [row(1, 0.9), row(2, 0.8)]
    choice = choose_kept([table(*rows)], 1, maximize=False, available=ids(1, 2))
    assert choice.kept == ids(2)


def test_each_table_has_a_best() -> None:
    tables = [table(row(1, 0.9)), table(row(2, 0.1), row(3, 0.2))]
    choice = choose_kept(tables, "best", maximize=True, available=ids(1, 2, 3))
    assert choice.kept == ids(1, 3)


def test_the_last_whole_configuration_stays_until_the_best_is_whole() -> None:
    rows = [table(row(1, 0.9, mark="best"), row(2, 0.8), row(3, 0.7))]
    choice = choose_kept(rows, "best", maximize=True, available=ids(2, 3) | {"1a"})
    assert choice.wanted == ids(1)
    assert choice.kept == ids(1, 2)
    choice = choose_kept(rows, "best", maximize=True, available=set())
    assert choice.kept == ids(1)


# --- the option -----------------------------------------------------------------------------------


def test_the_values_of_the_option() -> None:
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
def test_what_earlier_runs_kept_goes_on(recorded: str | int | None, keep: Keep) -> None:
    assert recorded_keep(manifest(keep=recorded)) == keep
    assert recorded_keep(None) == "best"
