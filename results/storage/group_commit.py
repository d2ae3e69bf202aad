"""Write results in a separate thread, in groups.

Writing a part costs a few disk synchronizations, or round trips to an object store, regardless of
its number of rows. So results that arrive during a write are written together in the next part.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from results.storage.store import TrialResult

GATHER_SECONDS = 0.1  # the time that a result waits for others to join its part
MAX_WAITING = 256  # unwritten results, which may contain images, before the sweep has to wait

Ended = TypeVar("Ended")


class GroupCommit(Generic[Ended]):
    """Writes results in order, and calls a function when a group of them is durable."""

    def __init__(
        self,
        add: Callable[[Sequence[TrialResult]], None],
        committed: Callable[[Sequence[Ended]], None],
    ) -> None:
        """Start the writing thread.

        The thread calls ``add`` to make results durable, and then ``committed`` with the objects
        that belong to them. After an error in either, nothing more is written.
        """
        self._add, self._committed = add, committed
        self._waiting: list[tuple[TrialResult, Ended]] = []
        self._changed = threading.Condition()
        self._closing = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._write, name="results", daemon=True)
        self._thread.start()

    def put(self, ended: Sequence[tuple[TrialResult, Ended]]) -> None:
        """Queue results for writing.

        Raises:
            Exception: the error of an earlier group, such as a full disk.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._error or not self._is_full())
            self.check()
            self._waiting.extend(ended)
            self._changed.notify_all()

    def _is_full(self) -> bool:
        return len(self._waiting) >= MAX_WAITING

    def is_open(self) -> bool:
        """Return whether results can still be queued, because no group failed."""
        return self._error is None

    def check(self) -> None:
        """Raise the error of a group, if one failed."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Wait until all results are durable and committed.

        Raises:
            Exception: the error of a group.
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
            except Exception as error:
                self._fail(error)
                return
            except BaseException as error:  # a package may try to end the process
                failure = RuntimeError(f"{type(error).__name__} while results were written")
                failure.__cause__ = error
                self._fail(failure)
                return

    def _fail(self, error: Exception) -> None:
        """Let the sweep's own thread raise the error."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def _next_group(self) -> list[tuple[TrialResult, Ended]]:
        """Wait for a result and for others to join it, and return them."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            self._changed.wait_for(lambda: self._is_full() or self._closing, GATHER_SECONDS)
            group, self._waiting = self._waiting, []
            self._changed.notify_all()
        return group
