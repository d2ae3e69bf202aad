"""``TrackerThread``: sends trials to one tracker without delaying the sweep.

The sweep marks the trials that have steps which the tracker does not have yet. The thread reads
these steps from the trials when it sends them, so a slow tracker gets several steps at once. What
waits for it are at most the running trials and ``MAX_WAITING`` ended ones (or more small ones, see
``MAX_BYTES``), besides those that are being sent and those whose run is open. Some trackers open
files for each run, so at most ``MAX_OPEN`` runs are open at once. Other trials are sent when they
end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from itertools import islice

from orchestrator.execution.trial_results import RunningTrial
from orchestrator.tracking.runs import Problem, Runs, Sent, Update
from orchestrator.tracking.samples import EndedTrial, estimate_bytes
from orchestrator.tracking.tracker import (
    Report,
    TrackedStep,
    TrackedSweep,
    TrackedTrial,
)
from results.text import plural

MAX_WAITING = 512  # ended trials, whose samples may contain pictures; more while they are small
MAX_BYTES = 64 * 2**20  # of more ended trials than that, all together
MAX_OPEN = 64  # runs; a pack has as many trials
MAX_TOGETHER = 64  # trials in one message
MAX_MESSAGE = 4 * 2**20  # bytes of their pictures, if there is more than one trial
MAX_ERRORS = 5  # in a row, after which nothing more is sent
GATHER_SECONDS = 0.1  # between two messages, so that the sweep's thread is rarely interrupted
RETRY_SECONDS = 1.0  # after a first error; doubled after each further one in a row
WAIT_SECONDS = 1.0  # at the end, before it says that it waits
CLOSE_SECONDS = 60.0  # at the end, without anything sent
MAX_CLOSE_SECONDS = 600.0  # at the end, in all


class TrackerThread:
    """Sends trials to one tracker in a thread of its own."""

    def __init__(
        self,
        name: str,
        runs: Runs,
        sweep: TrackedSweep,
        *,
        shown_samples: Sequence[str] = (),
        print_line: Callable[[str], None],
        log: Callable[[str], None],
    ) -> None:
        """Start the thread.

        Args:
            name: the name of the tracker for messages.
            runs: the runs of the tracker. Only the thread calls it, except ``kill``.
            sweep: the sweep.
            shown_samples: the columns of samples that the task shows; empty for all.
            print_line: prints a line for the user.
            log: writes to the log of the run.
        """
        self._name, self._runs, self._sweep = name, runs, sweep
        self._shown_samples, self._print_line, self._log = shown_samples, print_line, log
        self._changed = threading.Condition()
        #: What waits, by trial id: running trials with new steps, and ended ones with their bytes.
        self._stepped: dict[str, RunningTrial] = {}
        self._ended: dict[str, tuple[RunningTrial, int]] = {}
        self._num_bytes = 0  # of the ended ones
        #: Trial id -> ``Step.at`` of the steps that its open run has; only the thread changes it.
        self._sent: dict[str, set[int]] = {}
        #: The trials that the thread has taken to send, and whether they have ended.
        self._taken: dict[str, tuple[RunningTrial, bool]] = {}
        self._num_calls = 0
        self._num_lost = 0  # ended trials that were not sent
        self._num_errors = 0  # in a row
        self._has_given_up = self._is_closing = self._is_abandoned = False
        self._warned: set[str] = set()  # kinds of warnings that were printed
        self._must_hurry = threading.Event()
        self._report: Report | None = None
        self._thread = threading.Thread(target=self._send, name=f"track {name}", daemon=True)
        self._thread.start()

    # --- called by the sweep ----------------------------------------------------------------------

    def stepped(self, running: RunningTrial) -> None:
        """Send the new steps of a trial. Does not wait."""
        with self._changed:
            if not self._has_given_up:
                self._stepped[running.trial.id] = running
                self._changed.notify_all()

    def ended(self, running: RunningTrial) -> None:
        """Send the result of a trial. Does not wait."""
        trial_id, num_bytes = running.trial.id, estimate_bytes(running)
        with self._changed:
            self._stepped.pop(trial_id, None)
            # The end of an open run is always sent, so that another trial can open one.
            is_open = trial_id in self._sent or trial_id in self._taken
            is_full = len(self._ended) >= MAX_WAITING and self._num_bytes >= MAX_BYTES
            if self._has_given_up or (is_full and not is_open):
                self._num_lost += 1
                return
            self._ended[trial_id] = running, num_bytes
            self._num_bytes += num_bytes
            self._changed.notify_all()

    def finish(self, report: Report | None) -> None:
        """End the thread after what is waiting and the report are sent. Does not wait."""
        with self._changed:
            self._report, self._is_closing = report, True
            self._must_hurry.set()
            self._changed.notify_all()

    def join(self) -> None:
        """Wait for the end of the thread while it sends something. Warn if something is lost."""
        self._thread.join(WAIT_SECONDS)
        if self._thread.is_alive():
            number = len(self._stepped.keys() | self._ended.keys() | self._taken.keys())
            trials = f" ({plural(number, 'trial')})" if number else ""
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
        self._runs.kill()

    # --- the thread -------------------------------------------------------------------------------

    def _send(self) -> None:
        try:
            where = self._runs.open(self._sweep)
            self._print_line(f"Tracking with {self._name}: {where}")
            self._send_trials()
        except Exception as error:
            self._give_up()
            self._on_problem(Problem.of(error))
        finally:
            self._runs.kill()

    def _send_trials(self) -> None:
        while self._take():
            updates = [self._update(running, ended) for running, ended in self._taken.values()]
            self._send_updates(updates)
            if self._num_waiting() < MAX_TOGETHER:
                self._must_hurry.wait(GATHER_SECONDS)
        if not self._is_abandoned:
            self._num_calls += 1
            self._runs.close(self._report)

    def _give_up(self) -> None:
        with self._changed:
            self._has_given_up = True
            self._must_hurry.set()
            self._num_lost += len(self._ended)
            self._stepped.clear()
            self._ended.clear()
            self._num_bytes = 0
            self._changed.notify_all()

    def _num_waiting(self) -> int:
        return len(self._stepped) + len(self._ended)

    def _take(self) -> bool:
        """Wait for trials with something to send, and take some; return False at the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._num_waiting() or self._is_closing or self._has_given_up
            )
            if self._has_given_up or not self._num_waiting():
                return False
            # The ends first, so that others can open runs.
            for trial_id in list(islice(self._ended, MAX_TOGETHER)):
                running, num_bytes = self._ended.pop(trial_id)
                self._num_bytes -= num_bytes
                self._taken[trial_id] = running, True
            num_open = len(self._sent.keys() - self._taken.keys())
            for trial_id in list(islice(self._stepped, MAX_TOGETHER - len(self._taken))):
                running, is_open = self._stepped.pop(trial_id), trial_id in self._sent
                if is_open or num_open < MAX_OPEN:
                    self._taken[trial_id] = running, False
                    num_open += not is_open
                # Another trial comes again with its next step.
        return True

    def _send_updates(self, updates: list[Update]) -> None:
        """Send what was taken. If a trial fails, wait before the next ones are sent."""
        while updates and not self._has_given_up:
            self._num_calls += 1
            try:
                sent = self._runs.send(updates[: _num_in_message(updates)])
            except Exception as error:  # of the process
                sent = Sent(number=1, problem=Problem.of(error))
            for update in updates[: sent.number]:
                is_last = update is updates[sent.number - 1]
                self._on_sent(update, has_failed=is_last and sent.problem is not None)
            del updates[: sent.number]
            for trial_id, reason in sent.no_pictures:
                self._warn("gets no pictures of trial", trial_id[:8], reason)
            if sent.problem is None:
                self._num_errors = 0
            else:
                self._on_problem(sent.problem)
        with self._changed:  # after it has given up
            self._num_lost += sum(has_ended for _, has_ended in self._taken.values())
            self._taken.clear()

    def _update(self, running: RunningTrial, has_ended: bool) -> Update:
        """Return what is new in a trial."""
        sent = self._sent.get(running.trial.id, set())
        steps = running.steps.copy()  # at once, because the sweep adds steps at any time
        return Update(
            trial=TrackedTrial.of(running.trial),
            steps=[
                TrackedStep(at=at, metrics=dict(steps[at].step.metrics))
                for at in sorted(steps.keys() - sent)
            ],
            ended=self._ended_trial(running) if has_ended else None,
        )

    def _ended_trial(self, running: RunningTrial) -> EndedTrial:
        try:
            return EndedTrial.of(running, self._shown_samples)
        except Exception as error:  # samples of a task may be anything
            self._warn("gets no samples of trial", running.trial.id[:8], Problem.of(error))
            return EndedTrial.of(running, (), with_samples=False)

    def _on_sent(self, update: Update, *, has_failed: bool) -> None:
        """Remember what the tracker has."""
        trial_id = update.trial.id
        sent = self._sent.setdefault(trial_id, set())  # after an error, the run may be open
        if not has_failed:
            sent.update(step.at for step in update.steps)
        with self._changed:
            del self._taken[trial_id]
            if update.ended is not None:
                del self._sent[trial_id]
                self._num_lost += has_failed

    def _on_problem(self, problem: Problem) -> None:
        """Warn, wait, and give up after several in a row."""
        if self._is_abandoned:
            return
        self._warn("failed", "", problem)
        self._num_errors += 1
        if self._num_errors == MAX_ERRORS or problem.is_final:
            self._give_up()
        self._wait_to_retry()

    def _warn(self, what: str, trial: str, problem: Problem) -> None:
        """Write to the log, and print a line at the first warning of its kind."""
        text = f"--track {self._name} {what} {trial}".rstrip()
        self._log(f"{text}: {problem.details}")
        if what not in self._warned:
            self._warned.add(what)
            self._print_line(
                f"Warning: {text} ({problem.line}); the sweep continues, and its log has the "
                "details"
            )

    def _wait_to_retry(self) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_closing or self._has_given_up,
                RETRY_SECONDS * 2 ** (self._num_errors - 1),
            )


def _num_in_message(updates: Sequence[Update]) -> int:
    """Return how many of the updates one message may carry: pictures are copied into it."""
    num_bytes = 0
    for number, update in enumerate(updates):
        num_bytes += 0 if update.ended is None else update.ended.num_bytes()
        if number and num_bytes > MAX_MESSAGE:
            return number
    return len(updates)
