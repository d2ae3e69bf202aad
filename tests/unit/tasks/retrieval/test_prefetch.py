"""Batches that are prepared ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tasks.retrieval.prefetch import num_threads, prefetch


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_results_come_in_order(threads: int) -> None:
    assert list(prefetch(lambda item: item**2, range(20), threads)) == [i**2 for i in range(20)]
    assert not list(prefetch(str, [], threads))


@pytest.mark.parametrize("threads", [0, 2])
def test_an_exception_is_raised_where_its_result_is_due(threads: int) -> None:
    def make(item: int) -> float:
        return 1 / (item - 3)

    made = prefetch(make, range(9), threads)
    assert [next(made) for _ in range(3)] == [1 / (item - 3) for item in range(3)]
    with pytest.raises(ZeroDivisionError):
        next(made)


@pytest.mark.parametrize(("threads", "most"), [(1, 2), (2, 3), (3, 4), (4, 4), (8, 4)])
def test_few_items_are_made_ahead(threads: int, most: int) -> None:
    taken = 0

    def count() -> Iterator[int]:
        nonlocal taken
        for item in range(30):
            taken += 1
            yield item

    for number, item in enumerate(prefetch(lambda item: item, count(), threads)):
        assert item == number
        assert taken == min(number + most, 30)


def test_a_reader_that_stops_early_leaves_no_thread() -> None:
    before = threading.active_count()
    made = prefetch(str, range(100), 2)
    next(made)
    made.close()
    assert threading.active_count() == before


def test_only_a_gpu_has_time_to_wait() -> None:
    assert num_threads("cpu") == 0
    assert num_threads("cuda:1") >= 1
