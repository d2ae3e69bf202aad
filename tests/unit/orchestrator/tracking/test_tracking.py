"""Where trackers print and log."""

from __future__ import annotations

from tracked import sweep

from orchestrator.tracking.tracking import Tracking


def test_lines_and_errors_wait_for_the_log_of_a_run(logged: list[str]) -> None:
    tracking, lines = Tracking([], sweep()), list[str]()
    tracking._print("one")
    tracking._write_to_log("a traceback")
    assert (lines, logged) == ([], [])
    with tracking.printing(lines.append):
        assert (lines, logged) == (["one"], ["a traceback"])
        tracking._print("two")
        tracking._write_to_log("another")
    tracking._print("three")
    tracking._write_to_log("the last")
    assert (lines, logged) == (["one", "two"], ["a traceback", "another"])
