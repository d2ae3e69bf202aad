"""What is printed when a sweep stops early."""

from __future__ import annotations

import pytest

from orchestrator.execution.halting import describe_halt, describe_wait


@pytest.mark.parametrize(
    ("running", "line"),
    [
        (0, "Stopping; press Ctrl-C again to stop now."),
        (1, "Stopping after the current step of 1 trial; press Ctrl-C again to stop now."),
        (3, "Stopping after the current step of 3 trials; press Ctrl-C again to stop now."),
    ],
)
def test_describe_wait_counts_running_trials(running: int, line: str) -> None:
    assert describe_wait(running) == line


@pytest.mark.parametrize(
    ("interrupted", "any_step", "num_kept", "num_stages", "line"),
    [
        (True, True, 3, 9, "Interrupted. Run the same command to resume."),
        (False, True, 3, 9, "Budget reached. Run the same command to resume."),
        (True, False, 3, 9, "Interrupted before any trial made a step; 3 of 9 shared stages are"),
        (True, False, 1, 9, "Interrupted before any trial made a step; 1 of 9 shared stages is"),
        (True, False, 1, 1, "Interrupted before any trial made a step; 1 of 1 shared stage is"),
        (False, False, 2, 0, "Budget reached before any trial made a step; 2 shared stages are"),
        (False, False, 1, 0, "Budget reached before any trial made a step; 1 shared stage is"),
        (True, False, 0, 9, "Interrupted before any trial made a step. Run the same command"),
    ],
)
def test_describe_halt_says_what_is_kept_and_how_to_resume(
    interrupted: bool, any_step: bool, num_kept: int, num_stages: int, line: str
) -> None:
    assert describe_halt(interrupted, any_step, num_kept, num_stages).startswith(line)
