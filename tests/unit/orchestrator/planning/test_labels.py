"""Labels of configurations, and steps and times as text."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.planning.discovery import load_task
from orchestrator.planning.labels import (
    Configuration,
    Labels,
    format_duration,
    format_step,
    format_time_left,
)


def test_labels_start_with_differences_among_the_shown_rows() -> None:
    labels = Labels(load_task("retrieval").columns)
    every = [
        Configuration(values={"start": start, "lr": lr, "head": "own", "seed": 0})
        for start in ("pretrained", "random")
        for lr in (1e-5, 1e-2)
    ]
    for one in every:
        labels.see(one)
    assert labels.varying() == ["start", "lr"]
    assert labels.describe_among(every[0], every[:2], 80) == "lr=1e-5 start=pretrained"
    assert labels.describe_among(every[0], every[:2], 10) == "lr=1e-5"
    assert labels.describe_among(every[0], every[:1], 3) == "start=pretrained"
    assert labels.describe(every[3]) == "start=random lr=1e-2"


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("epoch 1/3", ("epoch", 3, 0)),
        ("epoch 1/3, 40 %", ("epoch", 3, 0, 0.4)),
        ("epoch 2/3", ("epoch", 3, 1)),
        ("epoch 3/3, 99 %", ("epoch", 3, 2, 0.999)),
        ("epoch 3/3", ("epoch", 3, 3)),
        ("epoch 2", ("epoch", None, 1)),
        ("0 epochs", ("epoch", 0, 0)),
        ("0 epochs, 50 %", ("epoch", 0, 0, 0.5)),
        ("352/1449 images", ("images", 1449, 352)),
        ("352/1449 images, 50 %", ("images", 1449, 352, 0.5)),
        ("538/1449 images", ("images", 1449, 352, 0.5, 724)),
        ("epoch 8/30, 50 %", ("epoch", 30, 5, 0.5, 10)),
        ("352 images", ("images", None, 352)),
        ("step 1/4", ("step", 4, 0)),
    ],
)
def test_format_step(text: str, arguments: tuple[Any, ...]) -> None:
    assert format_step(*arguments) == text


def test_format_duration_and_time_left() -> None:
    assert [format_duration(s) for s in (0.4, 75, 3675)] == ["0:00", "1:15", "1:01:15"]
    given = (None, 0.2, 12.4, 64.0, 3601.0)
    assert [format_time_left(s) for s in given] == [
        "",
        "about 0:01 left",
        "about 0:12 left",
        "about 1:05 left",
        "about 1:00:00 left",
    ]
