"""Results made durable beside the sweep's work, those that come together in one part.

A part costs its disk synchronisations, or a few round trips to an object store, however many rows
it has. So one thread writes, and what gathers meanwhile goes into the next part.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from results.store import TrialResult

GATHER_SECONDS = 0.1  # that a result waits for others to share its part
MOST_WAITING = 256  # additions not yet written, before the sweep itself waits for the disk

Ended = TypeVar("Ended")


class GroupCommit(Generic[Ended]):
    """Writes results in the order they are put, and says of each group when it is durable."""

    def __init__(
        self,
        add: Callable[[Sequence[TrialResult]], None],
        committed: Callable[[Sequence[Ended]], None],
    ) -> None:
        """``add`` makes results durable, ``committed`` counts what they belong to.

        Both are called by the writing thread. After an error in either nothing more is written.
        """
        self._add, self._committed = add, committed
        self._waiting: queue.Queue[Sequence[tuple[TrialResult, Ended]] | None] = queue.Queue(
            MOST_WAITING
        )
        self._closing = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._write, name="results", daemon=True)
        self._thread.start()

    def put(self, ended: Sequence[tuple[TrialResult, Ended]]) -> None:
        """These results are to be written; they may wait for others.

        Raises:
            Exception: that an earlier group met, such as a full disk.
        """
        self.check()
        self._waiting.put(ended)

    def check(self) -> None:
        """Raise the error that a group met."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Wait until all is durable and counted.

        Raises:
            Exception: that a group met.
        """
        self._closing.set()
        self._waiting.put(None)
        self._thread.join()
        self.check()

    def _write(self) -> None:
        over = False
        while not over:
            group = [self._waiting.get()]
            if group[0] is not None:
                self._closing.wait(GATHER_SECONDS)
            with suppress(queue.Empty):
                while True:
                    group.append(self._waiting.get_nowait())
            over = None in group
            pairs = [pair for ended in group if ended is not None for pair in ended]
            if pairs and self._error is None:
                try:
                    self._add([result for result, _ in pairs])
                    self._committed([end for _, end in pairs])
                except Exception as error:  # the sweep's own thread raises it
                    self._error = error
