"""``Tracking``: sends what the coordinator records to the trackers of ``--track``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from orchestrator.execution.listener import TrialListener
from orchestrator.execution.trial_results import RunningTrial
from orchestrator.tracking.process_runs import ProcessRuns
from orchestrator.tracking.thread import TrackerThread
from orchestrator.tracking.tracker import Report, TrackedSweep

logger = logging.getLogger(__name__)


class Tracking(TrialListener):
    """Sends trials to several trackers, in one thread each. Nothing starts before a first step."""

    def __init__(
        self, names: Sequence[str], sweep: TrackedSweep, *, shown_samples: Sequence[str] = ()
    ) -> None:
        """Send to the trackers with these names. See ``TrackerThread``."""
        self._names, self._sweep, self._shown_samples = names, sweep, shown_samples
        self._threads: list[TrackerThread] = []
        self._starting, self._lock = threading.Lock(), threading.Lock()
        self._unprinted: list[str] = []
        self._unlogged: list[str] = []
        self._print_line: Callable[[str], None] = self._unprinted.append
        self._log: Callable[[str], None] = self._unlogged.append

    @property
    def has_trackers(self) -> bool:
        """Whether there is a tracker to send to."""
        return bool(self._names)

    @property
    def has_started(self) -> bool:
        """Whether anything was sent."""
        return bool(self._threads)

    @contextmanager
    def printing(self, print_line: Callable[[str], None]) -> Iterator[None]:
        """Print lines for the user with this function, and write to the log of the run.

        What comes before and after is kept for later. So no line of a tracker is printed in the
        middle of the result tables, and no traceback in the terminal.
        """
        with self._lock:
            self._print_line, self._log = print_line, logger.warning
            for line in self._unprinted:
                print_line(line)
            for text in self._unlogged:
                logger.warning(text)
            self._unprinted.clear()
            self._unlogged.clear()
        try:
            yield
        finally:
            with self._lock:
                self._print_line, self._log = self._unprinted.append, self._unlogged.append

    def _print(self, line: str) -> None:
        with self._lock:
            self._print_line(line)

    def _write_to_log(self, text: str) -> None:
        with self._lock:
            self._log(text)

    def stepped(self, running: RunningTrial) -> None:
        """Send the new step of a trial. Does not wait."""
        for thread in self._started():
            thread.stepped(running)

    def ended(self, running: RunningTrial) -> None:
        """Send the result of a trial. Does not wait."""
        for thread in self._started():
            thread.ended(running)

    def close(self, report: Report | None) -> None:
        """Send the rest and the report, and end the threads. Ctrl-C skips the rest."""
        try:
            for thread in self._threads:
                thread.finish(report)
            for thread in self._threads:
                thread.join()
        except KeyboardInterrupt:
            for thread in self._threads:
                thread.abandon()
            self._print("Trackers may miss the end of some trials; the results are complete")

    def _started(self) -> Sequence[TrackerThread]:
        if self._threads or not self._names:
            return self._threads
        with self._starting:  # steps and results come from two threads
            if not self._threads:
                self._threads = [
                    TrackerThread(
                        name,
                        ProcessRuns(name, self._write_to_log),
                        self._sweep,
                        shown_samples=self._shown_samples,
                        print_line=self._print,
                        log=self._write_to_log,
                    )
                    for name in self._names
                ]
        return self._threads
