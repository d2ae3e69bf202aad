"""Results made durable beside the sweep's work, those that come together in one part.

A part costs its disk synchronisations, or a few round trips to an object store, however many rows
it has. So one thread writes, and what gathers meanwhile goes into the next part.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from results.storage.store import TrialResult

GATHER_SECONDS = 0.1  # that a result waits for others to share its part
MOST_WAITING = 256  # results, which may hold pictures, before the sweep itself waits for the disk

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
        self._waiting: list[tuple[TrialResult, Ended]] = []
        self._changed = threading.Condition()
        self._closing = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._write, name="results", daemon=True)
        self._thread.start()

    def put(self, ended: Sequence[tuple[TrialResult, Ended]]) -> None:
        """These results are to be written; they may wait for others.

        Raises:
            Exception: that an earlier group met, such as a full disk.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._error or not self._is_full())
            self.check()
            self._waiting.extend(ended)
            self._changed.notify_all()

    def _is_full(self) -> bool:
        return len(self._waiting) >= MOST_WAITING

    def is_open(self) -> bool:
        """Whether results can still be put: no group met an error."""
        return self._error is None

    def check(self) -> None:
        """Raise the error that a group met."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Wait until all is durable and counted.

        Raises:
            Exception: that a group met.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self.check()

    def _write(self) -> None:
        while group := self._next_group():
            try:
                self._add([result for result, _ in group])
                self._committed([end for _, end in group])
            except Exception as error:  # the sweep's own thread raises it
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return

    def _next_group(self) -> list[tuple[TrialResult, Ended]]:
        """What is waiting, once there is something and others had the time to join it."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            self._changed.wait_for(lambda: self._is_full() or self._closing, GATHER_SECONDS)
            group, self._waiting = self._waiting, []
            self._changed.notify_all()
        return group
