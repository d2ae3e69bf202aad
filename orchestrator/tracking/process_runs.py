"""``ProcessRuns``: a tracker in a process of its own.

There it takes no time from the sweep's thread, and Ctrl-C can end it while it does not answer. What
it prints is logged when it ends.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import IO, Any

from orchestrator.child_process import describe_end, start_child
from orchestrator.tracking.runs import Answer, Problem, Sent, TrackerFailedError, Update
from orchestrator.tracking.tracker import Report, TrackedSweep

POLL_SECONDS = 1.0  # between two checks that the process is alive
MAX_LINES = 100  # of its output in the log


class ProcessRuns:
    """``Runs`` of a tracker in another process, which starts with ``open``."""

    def __init__(self, name: str, log: Callable[[str], None]) -> None:
        """Prepare the process of the tracker ``name``; what it prints goes to ``log``."""
        self._name, self._log = name, log
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._output: IO[bytes] | None = None
        self._is_killed = False
        self._ending = threading.Lock()

    def open(self, sweep: TrackedSweep) -> str:
        """Start the process, and connect."""
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        self._process, self._connection = start_child(
            "orchestrator.tracking.process", output=self._output
        )
        if self._is_killed:  # while it started
            self.kill()
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
        """Kill the process, if it runs. Two threads may do so at once."""
        self._is_killed = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            with self._ending:
                self._log_output()

    def _log_output(self) -> None:
        if self._output is None:
            return
        with self._output as output:
            output.seek(0)
            printed = output.read().decode(errors="replace").strip()
        self._output = None
        if printed:
            tail = "\n".join(printed.splitlines()[-MAX_LINES:])
            self._log(f"--track {self._name} printed:\n{tail}")

    def _call(self, *message: Any) -> Any:
        assert self._connection is not None
        assert self._process is not None
        try:
            self._connection.send(message)
            # A process that the tracker has started may keep the pipe open after its end.
            while not self._connection.poll(POLL_SECONDS):
                if self._process.poll() is not None and not self._connection.poll():
                    raise EOFError
            answer: Answer = self._connection.recv()
        except (EOFError, OSError):
            line = f"its process {describe_end(self._process)}"
            problem = Problem(line=line, details=line, is_final=True)
            raise TrackerFailedError(problem) from None
        if answer.problem is not None:
            raise TrackerFailedError(answer.problem)
        return answer.value
