"""What trackers get of a trial's samples: a table, and a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from tracked import add_step, end, running

from orchestrator.execution.trial_results import RunningTrial
from orchestrator.tracking.samples import MAX_ROWS, EndedTrial, estimate_bytes, tracked_result
from orchestrator.tracking.tracker import TrackedResult


def result(one: RunningTrial, shown: Sequence[str]) -> TrackedResult:
    return tracked_result(EndedTrial.of(one, shown))


def png(color: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(out, format="PNG")
    return out.getvalue()


def test_samples_become_a_table_of_plain_values() -> None:
    one = running(num_steps=1)
    samples: dict[str, Any] = {
        "query": list(range(MAX_ROWS + 5)),
        "rank": np.arange(MAX_ROWS + 5),
        "captions": [["a", "b"]] * (MAX_ROWS + 5),
        "blob": [b"x"] * (MAX_ROWS + 5),
    }
    add_step(one, 1, samples)
    found = result(end(one), ("query", "rank", "captions"))
    assert list(found.table) == ["query", "rank", "captions"]
    assert found.table["rank"] == list(range(MAX_ROWS))
    assert all(type(value) is int for value in found.table["rank"])
    assert found.table["captions"][0] == "a / b"
    assert found.pictures == {}


def test_only_samples_of_the_last_step_count() -> None:
    one = running()
    add_step(one, 0, {"query": [1]})
    add_step(one, 1)
    assert result(end(one), ()).table == {}


def test_pictures_become_one_picture_and_leave_the_table() -> None:
    one = running()
    samples: dict[str, Any] = {
        "view": ["scores", "worst", "worst", "best"],
        "picture": [None, png("red"), png("green"), png("blue")],
        "iou": [0.5, None, None, None],
    }
    add_step(one, 1, samples)
    found = result(end(one), ("view", "picture", "iou"))
    assert found.table == {"view": ["scores"], "iou": [0.5]}
    sheet = Image.open(io.BytesIO(found.pictures["samples"])).convert("RGB")
    colors = {color for _, color in sheet.getcolors(10**6) or []}
    assert {(255, 0, 0), (0, 128, 0), (0, 0, 255)} <= colors


class Word(str):
    """A type that another process may not know."""


def test_values_become_plain_ones() -> None:
    one = running()
    add_step(one, 1, {"query": [Word("a"), np.float32(0.5), True, None]})
    found = result(end(one), ()).table["query"]
    assert [type(value) for value in found] == [str, float, bool, type(None)]
    assert found[0] == "a"


def test_estimate_counts_what_samples_take() -> None:
    picture, array = bytes(10_000), np.zeros((224, 224, 3), np.uint8)
    small, large = running(num_steps=1), running(num_steps=1)
    add_step(large, 1, {"picture": [picture], "image": [array], "rank": [np.zeros(()), [1, "a"]]})
    assert 160_000 < estimate_bytes(large) - estimate_bytes(small) < 170_000


def test_column_without_values_is_left_out() -> None:
    one = running()
    add_step(one, 1, {"query": [1, 2], "note": [None, None]})
    assert result(end(one), ()).table == {"query": [1, 2]}
