"""The thread of a tracker: what it sends, and that it neither delays nor fails the sweep."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Collection, Sequence

import numpy as np
import pytest
from PIL import Image
from tracked import REPORT, Recorder, add_step, end, running, sweep

from orchestrator.tracking import thread as module
from orchestrator.tracking.runs import Sent, TrackerRuns, Update
from orchestrator.tracking.thread import TrackerThread
from orchestrator.tracking.tracker import (
    TrackedResult,
    TrackedStep,
    TrackedSweep,
    TrackedTrial,
    Tracker,
)


class InThisProcess(TrackerRuns):
    """Calls the tracker in the thread."""

    def kill(self) -> None:
        """Do nothing: a call of the tracker cannot be stopped."""


def start(tracker: Tracker, lines: list[str], log: Callable[[str], None] = print) -> TrackerThread:
    return TrackerThread("mine", InThisProcess(tracker), sweep(), print_line=lines.append, log=log)


class Blocked(Recorder):
    """Waits in ``log`` until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.released = threading.Event(), threading.Event()

    def log(self, trial: TrackedTrial, steps: Sequence[TrackedStep]) -> None:
        self.entered.set()
        assert self.released.wait(60)
        super().log(trial, steps)


def test_steps_and_results_are_sent_once_and_in_order() -> None:
    tracker, lines = Recorder(), list[str]()
    thread = start(tracker, lines)
    one, other = running(0), running(1)
    for at in range(4):
        for each in (one, other):
            add_step(each, at)
            thread.stepped(each)
    for each in (one, other):
        thread.ended(end(each))
    thread.finish(REPORT)
    thread.join()
    assert lines == ["Tracking with mine: here"]
    assert tracker.calls[0] == ("open", "", sweep())
    assert tracker.calls[-1] == ("close", "", REPORT)
    for each in (one, other):
        assert tracker.logged(each.trial.id) == [0, 1, 2, 3]
    started = tracker.of("start")
    assert [trial.id for trial in started] == [one.trial.id, other.trial.id]
    assert started[1].parameters == {
        **{"lr": 0.1, "word": None, "seed": 1},
        **{"model": "none", "data": "none"},
    }
    (first, _) = tracker.of("end")
    assert (first.status, first.reason) == ("finished", "")
    assert first.metrics == {"error": 0.25, "r@1": 0.375}


def test_steps_that_the_run_has_are_not_sent() -> None:
    tracker = Recorder(known={0, 1})
    thread, one = start(tracker, []), running(num_steps=4)
    thread.stepped(one)
    add_step(one, 3)  # a last step may replace the one before it
    thread.ended(end(one))
    thread.finish(None)
    thread.join()
    assert tracker.logged(one.trial.id) == [2, 3]


def test_trial_without_steps_is_sent() -> None:
    tracker = Recorder()
    thread, one = start(tracker, []), running()
    thread.ended(end(one, "failed", "no data"))
    thread.finish(None)
    thread.join()
    assert [name for name, _, _ in tracker.calls] == ["open", "start", "end", "close"]
    assert tracker.of("end")[0].reason == "no data"


def test_slow_tracker_gets_several_steps_at_once() -> None:
    tracker = Blocked()
    thread, one = start(tracker, []), running(num_steps=1)
    thread.stepped(one)
    assert tracker.entered.wait(60)
    for at in range(1, 50):  # none of these calls waits
        add_step(one, at)
        thread.stepped(one)
    thread.ended(end(one))
    tracker.released.set()
    thread.finish(None)
    thread.join()
    assert tracker.of("log") == [[0], list(range(1, 50))]


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    monkeypatch.setattr(module, "MAX_BYTES", 0)
    tracker, lines = Blocked(), list[str]()
    thread = start(tracker, lines)
    thread.stepped(running(0, 1))
    assert tracker.entered.wait(60)
    for seed in range(1, 6):
        one = running(seed, 1)
        thread.stepped(one)
        thread.ended(end(one))
    tracker.released.set()
    thread.finish(None)
    thread.join()
    assert len(tracker.of("end")) == 2
    assert "misses the end of 3 trials" in lines[-1]


def test_more_trials_wait_if_they_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    monkeypatch.setattr(module, "MAX_BYTES", 10_000)
    tracker, lines = Blocked(), list[str]()
    thread = start(tracker, lines)
    thread.stepped(running(100, 1))
    assert tracker.entered.wait(60)
    for seed in range(7):
        thread.ended(end(running(seed, 1)))
    large = running(50)
    add_step(large, 0, {"picture": [b"x" * 3000], "rank": [np.zeros(())], "many": [[1, 2]] * 9})
    thread.ended(end(large))
    thread.ended(end(running(51, 1)))
    tracker.released.set()
    thread.finish(None)
    thread.join()
    assert len(tracker.of("end")) == 8
    assert "misses the end of 1 trial" in lines[-1]


class Counting(InThisProcess):
    """Counts the trials of each message."""

    def __init__(self, tracker: Tracker) -> None:
        super().__init__(tracker)
        self.numbers: list[int] = []

    def send(self, updates: Sequence[Update]) -> Sent:
        self.numbers.append(len(updates))
        return super().send(updates)


def test_a_message_has_few_large_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, format="PNG")
    monkeypatch.setattr(module, "MAX_MESSAGE", 2 * len(out.getvalue()))
    tracker, opened = Recorder(), threading.Event()
    runs = Counting(tracker)
    monkeypatch.setattr(runs, "open", lambda sweep: opened.wait(60) and "here")
    shown = ("condition", "picture")
    thread = TrackerThread("mine", runs, sweep(), shown_samples=shown, print_line=print, log=print)
    for seed in range(5):
        one = running(seed)
        add_step(one, 0, {"condition": ["a"], "picture": [out.getvalue()]})
        thread.ended(end(one))
    opened.set()
    thread.finish(None)
    thread.join()
    assert runs.numbers == [2, 2, 1]
    assert all(each.pictures for each in tracker.of("end"))


class BlockedAndFailing(Blocked):
    def log(self, trial: TrackedTrial, steps: Sequence[TrackedStep]) -> None:
        super().log(trial, steps)
        raise OSError("the process ends")


class Failing(Recorder):
    """Fails in ``log`` the first ``num_failures`` times."""

    def __init__(self, num_failures: int) -> None:
        super().__init__()
        self._num_left = num_failures

    def log(self, trial: TrackedTrial, steps: Sequence[TrackedStep]) -> None:
        if self._num_left:
            self._num_left -= 1
            raise OSError("no server\nat all")
        super().log(trial, steps)


def test_failed_step_is_sent_with_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    tracker, lines, has_warned = Failing(1), list[str](), threading.Event()

    def print_line(line: str) -> None:
        lines.append(line)
        if line.startswith("Warning"):
            has_warned.set()

    thread = TrackerThread(
        "mine", InThisProcess(tracker), sweep(), print_line=print_line, log=print
    )
    one = running(num_steps=1)
    thread.stepped(one)
    assert has_warned.wait(60)
    add_step(one, 1)
    thread.ended(end(one))
    thread.finish(None)
    thread.join()
    assert tracker.logged(one.trial.id) == [0, 1]
    assert lines[1:] == [
        "Warning: --track mine failed (OSError: no server); the sweep continues, and its log has "
        "the details"
    ]


def test_one_warning_is_printed_for_many_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    tracker, lines = Failing(2), list[str]()
    thread = start(tracker, lines)
    for seed in range(3):
        thread.ended(end(running(seed, 1)))
    thread.finish(None)
    thread.join()
    assert sum(line.startswith("Warning: --track mine failed") for line in lines) == 1
    assert "misses the end of 2 trials" in lines[-1]


def test_tracker_that_keeps_failing_is_given_up() -> None:
    tracker, lines = Failing(1000), list[str]()
    thread = start(tracker, lines)
    for seed in range(20):
        thread.ended(end(running(seed, 1)))
    thread.finish(REPORT)
    thread.join()
    assert len(tracker.of("start")) == module.MAX_ERRORS
    assert tracker.of("close") == [REPORT]
    assert [line[:30] for line in lines] == [
        "Tracking with mine: here",
        "Warning: --track mine failed (",
        "Warning: --track mine misses t",
    ]
    assert "the end of 20 trials" in lines[-1]


def test_trial_whose_picture_is_damaged_is_sent_without_it() -> None:
    tracker, lines = Recorder(), list[str]()
    broken = [running(seed) for seed in range(2 * module.MAX_ERRORS)]
    for each in broken:
        add_step(each, 0, {"condition": ["a"], "picture": [b"no PNG"]})
    thread = TrackerThread(
        "mine",
        InThisProcess(tracker),
        sweep(),
        shown_samples=("condition", "picture"),
        print_line=lines.append,
        log=print,
    )
    for each in broken:
        thread.ended(end(each))
    thread.finish(REPORT)
    thread.join()
    assert [(each.status, each.at, each.pictures) for each in tracker.of("end")] == [
        ("finished", 0, {})
    ] * len(broken)
    (warning,) = lines[1:]
    assert warning.startswith("Warning: --track mine gets no pictures of trial ")
    assert "(StoreError: a picture of the samples is damaged" in warning


class Unreachable(Recorder):
    def open(self, sweep: TrackedSweep) -> str:
        raise RuntimeError

    def start(self, trial: TrackedTrial) -> Collection[int]:
        raise AssertionError("it is not open")


def test_tracker_that_cannot_be_opened_is_given_up() -> None:
    tracker, lines = Unreachable(), list[str]()
    thread = start(tracker, lines)
    for seed in range(3):
        thread.ended(end(running(seed, 1)))
    thread.finish(REPORT)
    thread.join()
    thread.ended(end(running(4, 1)))
    assert tracker.calls == []
    assert lines[0].startswith("Warning: --track mine failed (RuntimeError)")
    assert "misses the end of 3 trials" in lines[1]


def test_tracker_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)
    tracker, lines = Blocked(), list[str]()
    thread = start(tracker, lines)
    thread.ended(end(running(0, 1)))
    assert tracker.entered.wait(60)
    thread.finish(None)
    thread.join()
    assert lines[1] == "Waiting for mine (1 trial); Ctrl-C skips the rest"
    assert lines[2].startswith("Warning: --track mine is too slow or does not answer")
    assert len(lines) == 3
    tracker.released.set()
    thread._thread.join(60)
    assert tracker.of("close") == []


def test_error_of_an_abandoned_tracker_is_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)
    tracker, lines, logged = BlockedAndFailing(), list[str](), list[str]()
    thread = start(tracker, lines, logged.append)
    thread.ended(end(running(0, 1)))
    assert tracker.entered.wait(60)
    thread.finish(None)
    thread.join()
    tracker.released.set()
    thread._thread.join(60)
    assert len(lines) == 3
    assert logged == []


class Slow(Recorder):
    """Takes a moment for each trial."""

    def end(self, trial: TrackedTrial, result: TrackedResult) -> None:
        time.sleep(0.1)
        super().end(trial, result)


def test_everything_is_sent_while_there_is_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.5)
    tracker, lines = Slow(), list[str]()
    thread = start(tracker, lines)
    for seed in range(10):  # takes longer than CLOSE_SECONDS
        thread.ended(end(running(seed, 1)))
    thread.finish(REPORT)
    thread.join()
    assert len(tracker.of("end")) == 10
    assert tracker.of("close") == [REPORT]
    assert len(lines) == 2


def test_waiting_for_a_slow_tracker_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr(module, "MAX_CLOSE_SECONDS", 0.3)
    tracker, lines = Slow(), list[str]()
    thread = start(tracker, lines)
    for seed in range(100):
        thread.ended(end(running(seed, 1)))
    thread.finish(None)
    thread.join()
    assert 0 < len(tracker.of("end")) < 100
    assert lines[-1].startswith("Warning: --track mine is too slow or does not answer")


def test_few_runs_are_open_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OPEN", 2)
    trials = [running(seed, 1) for seed in range(4)]
    tracker = Recorder()
    thread = start(tracker, [])
    for each in trials:
        thread.stepped(each)
    thread.finish(None)
    thread.join()
    assert [trial.id for trial in tracker.of("start")] == [each.trial.id for each in trials[:2]]
    tracker = Recorder()
    thread = start(tracker, [])
    for each in trials:
        thread.stepped(each)
    for each in trials:
        thread.ended(end(each))
    thread.finish(None)
    thread.join()
    assert len(tracker.of("start")) == len(tracker.of("end")) == 4
    for each in trials:
        assert tracker.logged(each.trial.id) == [0]


class FailingAtTheEnd(Recorder):
    """Fails in ``end`` of the first trial."""

    def end(self, trial: TrackedTrial, result: TrackedResult) -> None:
        if not self.of("end"):
            super().end(trial, result)
            raise OSError("no server")
        super().end(trial, result)


def test_failed_end_frees_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OPEN", 1)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    tracker, lines = FailingAtTheEnd(), list[str]()
    thread = start(tracker, lines)
    one, other = running(0, 1), running(1, 1)
    thread.stepped(one)
    thread.ended(end(one))
    thread.stepped(other)
    thread.finish(None)
    thread.join()
    assert tracker.logged(other.trial.id) == [0]
    assert "misses the end of 1 trial" in lines[-1]


class BlockedBy(Blocked):
    """Waits in ``log`` of one trial."""

    def __init__(self, trial_id: str) -> None:
        super().__init__()
        self._trial_id = trial_id

    def log(self, trial: TrackedTrial, steps: Sequence[TrackedStep]) -> None:
        if trial.id == self._trial_id:
            super().log(trial, steps)
        else:
            Recorder.log(self, trial, steps)


@pytest.mark.parametrize("is_sending", [True, False])
def test_end_of_an_open_run_is_sent_although_much_waits(
    monkeypatch: pytest.MonkeyPatch, is_sending: bool
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 1)
    monkeypatch.setattr(module, "MAX_BYTES", 0)
    monkeypatch.setattr(module, "MAX_OPEN", 1)
    one, busy, live = running(0, 1), running(1, 1), running(2, 1)
    tracker, lines = BlockedBy((one if is_sending else busy).trial.id), list[str]()
    thread = start(tracker, lines)
    thread.stepped(one)
    if not is_sending:
        thread.ended(end(busy))
    assert tracker.entered.wait(60)
    for seed in (3, 4):
        thread.ended(end(running(seed, 1)))
    thread.ended(end(one))
    thread.stepped(live)
    tracker.released.set()
    thread.finish(None)
    thread.join()
    assert one.trial.id in [trial_id for name, trial_id, _ in tracker.calls if name == "end"]
    assert tracker.logged(live.trial.id) == [0]
    assert "misses the end of 1 trial" in lines[-1]
