"""Results that arrive during a write share the next part; none counts before it is durable."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from toy_results import PARAMS, manifest, result

from results.storage.group_commit import MAX_WAITING, GroupCommit
from results.storage.reading import read_sweep
from results.storage.store import SweepStore, TrialResult, list_parts
from tasks.contract import StoreError


def ids(sweep: Any) -> set[str]:
    return {row["trial_id"] for row in sweep.rows()}


def test_results_that_arrive_during_a_write_share_the_next_part(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest())
    writing, go_on = threading.Event(), threading.Event()
    counted: list[tuple[set[int], set[str]]] = []

    def add(results: Sequence[TrialResult]) -> None:
        writing.set()
        assert go_on.wait(30)
        store.add(results)

    def count(numbers: Sequence[int]) -> None:
        counted.append((set(numbers), ids(read_sweep(str(tmp_path), "toy", "s"))))

    commit = GroupCommit(add, count)
    commit.put([(result(1), 1)])
    assert writing.wait(30)
    for number in range(2, 50):
        commit.put([(result(number), number)])
    assert not counted  # the first is still being written
    go_on.set()
    commit.close()
    assert [numbers for numbers, _ in counted] == [{1}, set(range(2, 50))]
    for numbers, durable in counted:
        assert {f"t{number}" for number in numbers} <= durable
    assert len(list_parts(store.filesystem, f"{store.path}/trials")) == 2


@pytest.mark.parametrize(
    ("error", "message"),
    [(StoreError("No space left on device"), "No space left"), (SystemExit(1), "SystemExit")],
)
@pytest.mark.timeout(60)
def test_write_error_is_raised_and_stops_counting(error: BaseException, message: str) -> None:
    wrote, counted, failed = [], [], threading.Event()

    def add(results: Sequence[TrialResult]) -> None:
        wrote.extend(results)
        failed.set()
        raise error

    commit = GroupCommit(add, counted.extend)
    commit.put([(result(1), 1)])
    assert failed.wait(30)

    def put_many() -> None:  # without waiting for room in the queue
        for number in range(2, 10 * MAX_WAITING):
            commit.put([(result(number), number)])

    with pytest.raises((StoreError, RuntimeError), match=message):
        put_many()
    with pytest.raises((StoreError, RuntimeError), match=message):
        commit.close()
    assert len(wrote) == 1
    assert not counted


def test_slow_disk_blocks_the_sweep() -> None:
    writing, go_on, wrote = threading.Event(), threading.Event(), []
    put: list[int] = []

    def add(results: Sequence[TrialResult]) -> None:
        wrote.append(len(results))
        writing.set()
        assert go_on.wait(30)

    commit = GroupCommit(add, lambda ended: None)
    commit.put([(result(0), 0)])
    assert writing.wait(30)

    def put_packs() -> None:
        for number in range(20):
            commit.put([(result(number), number)] * 64)
            put.append(number)

    sweep = threading.Thread(target=put_packs)
    sweep.start()
    while len(put) < MAX_WAITING / 64:
        assert sweep.is_alive()
        time.sleep(0.001)
    sweep.join(0.1)
    assert sweep.is_alive()
    assert len(put) == MAX_WAITING / 64
    go_on.set()
    sweep.join(30)
    commit.close()
    assert sum(wrote) == 1 + 20 * 64
    assert max(wrote) < MAX_WAITING + 64


def test_close_writes_everything_in_order(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest())
    counted: list[int] = []
    commit = GroupCommit(store.add, counted.extend)
    for number in range(3 * MAX_WAITING):  # more than may wait
        commit.put([(result(number), number)])
    commit.close()
    assert counted == list(range(3 * MAX_WAITING))
    assert len(ids(read_sweep(str(tmp_path), "toy", "s"))) == 3 * MAX_WAITING
