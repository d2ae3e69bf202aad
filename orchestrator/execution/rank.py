"""Another process of a trial, as rank 0 sees it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from queue import Queue
from typing import Any

from orchestrator.child_process import describe_end, start_child
from orchestrator.execution.rank_messages import Answer, leave

TAIL_LINES = 30  # of the output of a process that died
Answers = Queue[Answer | None]  # None: a process died without saying why


class Rank:
    """Starts a process, and reads its answers in a thread, which notices if the process dies."""

    def __init__(self, number: int, folder: str, device: str, answers: Answers) -> None:
        """Start the process with this number; it puts its answers into ``answers``.

        ``device`` is that of rank 0. On GPUs, each rank has the GPU of its number.
        """
        self.number, self._on_gpu, self._answers = number, device.startswith("cuda"), answers
        self._failed = self._stopped = self._ended = False
        self._log = Path(folder) / f"rank-{number}.log"
        with self._log.open("wb") as log:
            self._process, self._connection = start_child(
                "orchestrator.execution.rank_process",
                output=log,
                environment=visible_gpu(number) if self._on_gpu else {},
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, message: Any) -> None:
        """Send a message; one to a process that has died is lost."""
        try:
            self._connection.send(message)
        except OSError:
            return

    def _read(self) -> None:
        try:
            while True:
                answer: Answer = self._connection.recv()
                self._failed = self._failed or answer.failure is not None
                self._answers.put(answer)
        except (EOFError, OSError):
            self._ended = True
        if self.is_lost():
            self._answers.put(None)
        if self._on_gpu and not self._stopped:
            leave(on_gpu=True)  # NCCL does not notice that a process died: rank 0 would wait for it

    def is_lost(self) -> bool:
        """Return whether the process died without saying why."""
        return self._ended and not self._failed

    def describe(self) -> str:
        """Return how the process ended, with its last output."""
        how = describe_end(self._process)
        lines = self._log.read_text(errors="replace").strip().splitlines()
        tail = "\n".join(lines[-TAIL_LINES:])
        return f"{how}\n{tail}" if tail else how

    def stop(self) -> None:
        """Kill the process."""
        self._stopped = True
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._connection.close()


def visible_gpu(number: int) -> dict[str, str]:
    """Return the environment variable that gives a rank the GPU of its number."""
    visible = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
    return {"CUDA_VISIBLE_DEVICES": visible[number] if visible else str(number)}
