"""``ProcessRuns``: a tracker in a process of its own.

There it takes no time from the sweep's thread, and Ctrl-C can end it while it does not answer. What
it prints goes where the sweep's other output goes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from orchestrator.child_process import describe_end, start_child
from orchestrator.tracking.runs import Answer, Problem, Sent, TrackerFailedError, Update
from orchestrator.tracking.tracker import Report, TrackedSweep


class ProcessRuns:
    """``Runs`` of a tracker in another process, which starts with ``open``."""

    def __init__(self, name: str) -> None:
        """``name`` is the name of the tracker."""
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def open(self, sweep: TrackedSweep) -> str:
        """Start the process, and connect."""
        self._process, self._connection = start_child("orchestrator.tracking.process")
        return str(self._call("open", self._name, sweep))

    def send(self, updates: Sequence[Update]) -> Sent:
        """Send updates, in order."""
        sent: Sent = self._call("send", updates)
        return sent

    def close(self, report: Report | None) -> None:
        """Add the report, disconnect, and wait for the end of the process."""
        assert self._process is not None
        try:
            self._call("close", report)
        finally:
            self._process.wait()

    def kill(self) -> None:
        """Kill the process, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _call(self, *message: Any) -> Any:
        assert self._connection is not None
        assert self._process is not None
        try:
            self._connection.send(message)
            answer: Answer = self._connection.recv()
        except (EOFError, OSError):
            line = f"its process {describe_end(self._process)}"
            problem = Problem(line=line, details=line, is_final=True)
            raise TrackerFailedError(problem) from None
        if answer.problem is not None:
            raise TrackerFailedError(answer.problem)
        return answer.value
