"""``TrackerThread``: sends trials to one tracker without delaying the sweep.

The thread keeps no copies of steps: it marks which trials have steps that the tracker does not
have yet, and reads them from the trial when it sends them. So a slow tracker gets several steps at
once, and what waits for it are at most the running trials and ``MAX_WAITING`` ended ones, besides
those whose run is open. Some trackers open files for each run, so at most ``MAX_OPEN`` runs are
open at once. Other trials are sent when they end.
"""

from __future__ import annotations

import logging
import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from orchestrator.execution.trial_results import RunningTrial
from orchestrator.tracking.samples import tracked_result
from orchestrator.tracking.tracker import Report, TrackedStep, TrackedSweep, TrackedTrial, Tracker
from results.storage.filesystem import redact
from results.text import plural

logger = logging.getLogger(__name__)

MAX_WAITING = 512  # ended trials, whose samples may contain pictures
MAX_OPEN = 64  # runs; a pack has as many trials
MAX_REASON = 200  # characters of an error in a warning
MAX_ERRORS = 5  # in a row, after which nothing more is sent
RETRY_SECONDS = 1.0  # after a first error; doubled after each further one in a row
WAIT_SECONDS = 1.0  # at the end, before it says that it waits
CLOSE_SECONDS = 60.0  # at the end, without anything sent
MAX_CLOSE_SECONDS = 600.0  # at the end, in all


@dataclass(kw_only=True, slots=True)
class _Run:
    """The run of one trial in the tracker."""

    trial: TrackedTrial
    sent: set[int] = field(default_factory=set)  # ``Step.at`` of the steps that it has


class TrackerThread:
    """Sends trials to one tracker in a thread of its own."""

    def __init__(
        self,
        name: str,
        tracker: Tracker,
        sweep: TrackedSweep,
        *,
        shown_samples: Sequence[str] = (),
        print_line: Callable[[str], None],
    ) -> None:
        """Start the thread.

        Args:
            name: the name of the tracker for messages.
            tracker: is called only by the thread.
            sweep: the sweep.
            shown_samples: the columns of samples that the task shows; empty for all.
            print_line: prints a line for the user.
        """
        self._name, self._tracker, self._sweep = name, tracker, sweep
        self._shown_samples, self._print_line = shown_samples, print_line
        self._changed = threading.Condition()
        self._waiting: dict[str, RunningTrial] = {}  # with something to send, by trial id
        self._ended: set[str] = set()  # those of ``_waiting`` that have ended
        self._runs: dict[str, _Run] = {}  # open runs by trial id; only the thread changes it
        self._current = ""  # the trial that the thread is sending, whose run may open
        self._num_calls = 0
        self._num_lost = 0  # ended trials that were not sent
        self._num_errors = 0  # in a row
        self._has_warned = self._has_given_up = self._is_closing = self._is_abandoned = False
        self._report: Report | None = None
        self._thread = threading.Thread(target=self._send, name=f"track {name}", daemon=True)
        self._thread.start()

    # --- called by the sweep ----------------------------------------------------------------------

    def stepped(self, running: RunningTrial) -> None:
        """Send the new steps of a trial. Does not wait."""
        with self._changed:
            if not self._has_given_up:
                self._waiting.setdefault(running.trial.id, running)
                self._changed.notify_all()

    def ended(self, running: RunningTrial) -> None:
        """Send the result of a trial. Does not wait."""
        trial_id = running.trial.id
        with self._changed:
            # The end of an open run is always sent, so that another trial can open one.
            is_open = trial_id in self._runs or trial_id == self._current
            if self._has_given_up or (len(self._ended) >= MAX_WAITING and not is_open):
                self._num_lost += 1
                self._waiting.pop(trial_id, None)
                return
            self._waiting[trial_id] = running
            self._ended.add(trial_id)
            self._changed.notify_all()

    def finish(self, report: Report | None) -> None:
        """End the thread after what is waiting and the report are sent. Does not wait."""
        with self._changed:
            self._report, self._is_closing = report, True
            self._changed.notify_all()

    def join(self) -> None:
        """Wait for the end of the thread while it sends something. Warn if something is lost."""
        self._thread.join(WAIT_SECONDS)
        if self._thread.is_alive():
            trials = f" ({plural(len(self._waiting), 'trial')})" if self._waiting else ""
            self._print_line(f"Waiting for {self._name}{trials}; Ctrl-C skips the rest")
        deadline = time.monotonic() + MAX_CLOSE_SECONDS
        num_calls = -1
        while self._thread.is_alive() and num_calls < self._num_calls:
            num_calls = self._num_calls
            self._thread.join(max(0.0, min(CLOSE_SECONDS, deadline - time.monotonic())))
        if self._thread.is_alive():
            self._print_line(
                f"Warning: --track {self._name} is too slow or does not answer, so some of its "
                "runs are incomplete. The results of the sweep are complete."
            )
            self.abandon()
        elif self._num_lost:
            self._print_line(
                f"Warning: --track {self._name} misses the end of {plural(self._num_lost, 'trial')}"
                ", because it failed or was too slow. The results of the sweep are complete."
            )

    def abandon(self) -> None:
        """Send nothing more, and ignore errors: some packages raise when the process ends."""
        self._is_abandoned = True
        self._give_up()

    # --- the thread -------------------------------------------------------------------------------

    def _send(self) -> None:
        if not self._call(self._open):
            self._give_up()
            return
        while (following := self._next()) is not None:
            running, has_ended = following
            is_sent = self._call(partial(self._send_trial, running, has_ended))
            if has_ended:
                self._runs.pop(running.trial.id, None)  # even if the tracker failed
                with self._changed:
                    self._num_lost += not is_sent
        if not self._is_abandoned:
            self._call(lambda: self._tracker.close(self._report))

    def _give_up(self) -> None:
        with self._changed:
            self._has_given_up = True
            self._num_lost += len(self._ended)
            self._waiting.clear()
            self._changed.notify_all()

    def _open(self) -> None:
        where = redact(self._tracker.open(self._sweep))
        self._print_line(f"Tracking with {self._name}: {where}")

    def _next(self) -> tuple[RunningTrial, bool] | None:
        """Wait for a trial; return it and whether it has ended, or None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing or self._has_given_up)
            if not self._waiting or self._has_given_up:
                return None
            trial_id = next(iter(self._waiting))
            has_ended = trial_id in self._ended
            self._ended.discard(trial_id)
            self._current = trial_id
            return self._waiting.pop(trial_id), has_ended

    def _send_trial(self, running: RunningTrial, has_ended: bool) -> None:
        trial_id = running.trial.id
        if trial_id not in self._runs:
            if len(self._runs) >= MAX_OPEN and not has_ended:
                return  # the trial comes again with its next step
            trial = TrackedTrial.of(running.trial)
            self._runs[trial_id] = _Run(trial=trial, sent=set(self._tracker.start(trial)))
        run = self._runs[trial_id]
        # The sweep adds steps at any time; a copy is made at once.
        steps = running.steps.copy()
        new = [
            TrackedStep(at=at, metrics=dict(steps[at].step.metrics))
            for at in sorted(steps.keys() - run.sent)
        ]
        if new:
            self._tracker.log(run.trial, new)
            run.sent.update(step.at for step in new)
        if has_ended:
            self._tracker.end(run.trial, tracked_result(running, self._shown_samples))

    def _call(self, action: Callable[[], None]) -> bool:
        """Call the tracker; return whether it raised nothing. Warn at the first error."""
        self._num_calls += 1
        try:
            action()
        except Exception as error:
            if self._is_abandoned:
                return False
            logger.warning("--track %s failed", self._name, exc_info=True)
            self._num_errors += 1
            if not self._has_warned:
                self._has_warned = True
                self._print_line(
                    f"Warning: --track {self._name} failed ({_first_line(error)}); the sweep "
                    "continues, and its log has the details"
                )
            if self._num_errors == MAX_ERRORS:
                self._give_up()
            self._wait_to_retry()
            return False
        self._num_errors = 0
        return True

    def _wait_to_retry(self) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_closing or self._has_given_up,
                RETRY_SECONDS * 2 ** (self._num_errors - 1),
            )


def _first_line(error: Exception) -> str:
    line = redact(str(error).strip().partition("\n")[0])
    text = textwrap.shorten(line, MAX_REASON, placeholder=" ...")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
