"""Which rows of two sweeps belong together."""

from __future__ import annotations

from typing import Any

from results.compare.matching import match
from results.tables.summary import SummaryRow


def row(**params: Any) -> SummaryRow:
    return SummaryRow(params=params, metrics={})


def test_rows_are_matched_by_parameters_that_vary() -> None:
    first = [row(lr=lr, epochs=5) for lr in (0.1, 0.2, 0.3)]
    second = [row(lr=lr, epochs=10) for lr in (0.3, 0.2, 0.4)]
    found = match(first, second)
    assert [(a.params["lr"], b.params["lr"]) for a, b in found.pairs] == [(0.2, 0.2), (0.3, 0.3)]
    assert [r.params["lr"] for r in found.only_first] == [0.1]
    assert [r.params["lr"] for r in found.only_second] == [0.4]
    assert (found.differing, found.matched) == (["epochs"], ["lr"])


def test_rows_merged_by_a_setting_are_each_matched() -> None:
    first = [row(lr=0.1, epochs=0), row(lr=0.1, epochs=3), row(lr=0.2, epochs=3)]
    second = [row(lr=0.1, epochs=10), row(lr=0.2, epochs=10)]
    found = match(first, second)
    assert [(a.params["epochs"], b.params["lr"]) for a, b in found.pairs] == [
        (0, 0.1),
        (3, 0.1),
        (3, 0.2),
    ]
    assert found.differing == ["epochs"]


def test_setting_without_effect_in_one_row_is_a_common_difference() -> None:
    # Without training, the batch size is replaced by its default.
    first = [row(epochs=0, batch=16), row(epochs=3, batch=16), row(epochs=5, batch=16)]
    second = [row(epochs=0, batch=16), row(epochs=3, batch=64), row(epochs=5, batch=64)]
    found = match(first, second)
    assert found.differing == ["batch"]
    assert [(a.params["epochs"], b.params["batch"]) for a, b in found.pairs] == [
        (0, 16),
        (3, 64),
        (5, 64),
    ]


def test_equal_row_is_preferred_to_a_similar_one() -> None:
    first = [row(lr=0.1), row(lr=0.2), row(lr=0.2, start="random")]
    found = match(first, [row(lr=0.2, start="random")])
    assert [(a.params, b.params) for a, b in found.pairs] == [(first[2].params, first[2].params)]
    assert found.only_first == first[:2]


def test_grids_are_matched_by_their_parameter() -> None:
    grid = [row(lr=lr, t=t) for lr in (0.1, 0.2, 0.3) for t in (1, 2)]
    found = match([row(lr=0.1, t=t) for t in (1, 2)], grid)
    assert all(a.params == b.params for a, b in found.pairs)
    assert len(found.pairs) == 2
    assert len(found.only_second) == 4
