"""A tracker that leaves notes in the working directory, and hangs or fails on demand."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from orchestrator.tracking.tracker import (
    Report,
    TrackedStep,
    TrackedSweep,
    TrackedTrial,
    Tracker,
)


class NotingTracker(Tracker):
    """Hangs in ``log`` while there is a file ``hang``, and fails there with a file ``fail``."""

    def _note(self, *words: object) -> None:
        with Path("tracked").open("a") as file:
            print(*words, file=file)

    def open(self, sweep: TrackedSweep) -> str:
        """Note the id of the process, and print a line."""
        print("opening", flush=True)
        self._note("open", os.getpid())
        atexit.register(self._note, "exit")
        return "here"

    def start(self, trial: TrackedTrial) -> Collection[int]:
        """Note nothing."""
        return ()

    def log(self, trial: TrackedTrial, steps: Sequence[TrackedStep]) -> None:
        """Note the numbers of the steps."""
        while Path("hang").exists():
            time.sleep(0.01)
        if Path("fail").exists():
            raise OSError("no server\nat all")
        self._note("log", *(step.at for step in steps))

    def close(self, report: Report | None) -> None:
        """Note the title of the report."""
        self._note("close", report and report.markdown.split()[1])
