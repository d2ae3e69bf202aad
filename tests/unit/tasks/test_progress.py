"""Reports of progress within a step: their receiver and their rate."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasks import progress
from tasks.progress import Throttle, progress_part, report_progress, reporting

Report = tuple[float, int | None]


def collect(act: Callable[[], None], throttle: Throttle | None = None) -> list[Report]:
    reports: list[Report] = []

    def receive(share: float, next_at: int | None) -> None:
        reports.append((round(share, 6), next_at))

    with reporting(receive, throttle or Throttle(interval=0.0)):
        act()
    return reports


def test_report_without_a_listener_is_ignored() -> None:
    report_progress(1, 2)
    with progress_part(0, 2):
        report_progress(1, 2)


def test_nested_parts_scale_progress() -> None:
    def act() -> None:
        with progress_part(0, 4, 3, next_at=80):
            report_progress(1, 2)
            with progress_part(1, 3):
                report_progress(1, 2, next_at=90)
        with progress_part(3, 4):
            report_progress(1, 1)
        report_progress(5, 4)  # more than there is

    assert collect(act) == [
        *[(0.0, None), (0.0, 80), (0.375, 80), (0.25, 80), (0.375, 90)],
        *[(0.75, None), (1.0, None), (1.0, None)],
    ]


def test_at_most_four_reports_per_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("tasks.progress.time.monotonic", lambda: now)
    throttle, passed = Throttle(), []

    def act() -> None:
        nonlocal now
        for batch in range(1000):
            now += 0.001
            report_progress(batch, 1000)

    for _ in range(3):  # steps of one second
        passed += collect(act, throttle)
    assert 11 <= len(passed) <= 13


def test_failing_step_leaves_no_listener() -> None:
    def act() -> None:
        with progress_part(0, 2):
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        collect(act)
    assert progress._scope.get() is None
