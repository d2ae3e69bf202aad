"""Batches that are prepared ahead."""

from __future__ import annotations

import threading

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


def test_a_reader_that_stops_early_leaves_no_thread() -> None:
    before = threading.active_count()
    made = prefetch(str, range(100), 2)
    next(made)
    made.close()
    assert threading.active_count() == before


def test_only_a_gpu_has_time_to_wait() -> None:
    assert num_threads("cpu") == 0
    assert num_threads("cuda:1") >= 1
